import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';

/** AGENT_IMPORTS **/

export interface AgentOptions {
  name: string;
  port: number;
}

export class Agent {
  private requests = 0;

  constructor(private readonly options: AgentOptions) {
    /** AGENT_INIT **/
  }

  async start(): Promise<void> {
    const server = createServer((_request, response) => {
      this.requests += 1;
      response.end('not implemented');
    });
    server.listen(this.options.port);
  }

  async loadPrompt(path: string): Promise<string> {
    return readFile(path, 'utf8');
  }
}
