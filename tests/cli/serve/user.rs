//! A Unix socket, and an agent that is another user.

use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

use super::client::{Answer, Server, answer, append};
use crate::sandbox::Sandbox;

/// Sends a request over a Unix socket.
fn over(socket: &Path, request: &str) -> std::io::Result<Answer> {
    let mut stream = UnixStream::connect(socket)?;
    stream.write_all(request.as_bytes())?;
    Ok(answer(&mut stream))
}

#[test]
fn a_unix_socket_is_opened_to_those_who_may_write_to_it() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let sandbox = Sandbox::new(&[("a.txt", "one\n")]);
    let path = sandbox.outside().join("socket");
    let arguments = ["serve", "--socket", path.to_str().unwrap()];
    let server = Server::spawn(sandbox.command(&arguments));
    assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    let health = over(&path, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    assert_eq!(health.status, 200);
    // A second server does not take the place of one that listens.
    assert_eq!(sandbox.run(&arguments).code, 3);
    assert_eq!(server.stop(), 0);
    assert!(!path.try_exists().unwrap(), "it goes with its server");
    // What a killed one left is replaced.
    let server = Server::spawn(sandbox.command(&arguments));
    drop(server);
    assert!(path.try_exists().unwrap());
    let _server =
        Server::spawn(sandbox.command(&[&arguments[..], &["--socket-mode", "666"]].concat()));
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o666);
    // A file that is no socket stays.
    let file = sandbox.outside().join("file");
    std::fs::write(&file, "x").unwrap();
    assert_eq!(
        sandbox
            .run(&["serve", "--socket", file.to_str().unwrap()])
            .code,
        3
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "x");
}

const DOCKERFILE: &str = include_str!("../../../Dockerfile");
const DOCS: &str = include_str!("../../../patchctl/docs/serve.md");

/// What an instruction of the Dockerfile's last stage is given, each time that it is there.
fn instructions(name: &str) -> Vec<String> {
    let (_, last) = DOCKERFILE.rsplit_once("\nFROM ").unwrap();
    let whole = last.replace("\\\n", "");
    let lines = whole.lines().filter_map(|line| line.strip_prefix(name));
    lines.map(|rest| rest.trim().to_owned()).collect()
}

/// The words of an instruction in its JSON form.
fn words(name: &str) -> Vec<String> {
    serde_json::from_str(&instructions(name)[0]).unwrap()
}

#[test]
fn the_image_sets_up_what_the_docs_show() {
    let (_, setup) = DOCS.split_once("## As another user").unwrap();
    let shown: Vec<String> = setup
        .replace("\\\n", "")
        .lines()
        .filter_map(|line| line.strip_prefix("    # "))
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    let [users, directories, _, server] = &shown[..] else {
        panic!("{shown:?}");
    };
    let runs = instructions("RUN");
    for command in [users, directories] {
        assert!(command.contains("patchctl"), "{command}");
        assert!(runs.contains(command), "{command}: {runs:?}");
    }
    let runs_as = ["setpriv --reuid", "--regid", "--clear-groups"];
    let user = &instructions("USER")[0];
    let runs_as = format!("{} {user} {} {user} {}", runs_as[0], runs_as[1], runs_as[2]);
    let line = [words("ENTRYPOINT"), words("CMD")].concat();
    assert_eq!(*server, format!("{runs_as} {}", line.join(" ")));
    assert!(line.contains(&instructions("VOLUME")[0]), "{line:?}");
    // The program that is called is the one that was built and copied.
    let copied = &instructions("COPY")[0];
    assert!(copied.ends_with("/release/patchctl /usr/local/bin/patchctl"));

    // The options are options of `serve`; only the paths are a test's own.
    let sandbox = Sandbox::new(&[("a.txt", "one\n")]);
    let socket = sandbox.outside().join("socket");
    let root = sandbox.root();
    let own = line[1..].iter().map(|word| match word.as_str() {
        "/srv/tree" => root.to_str().unwrap(),
        "/run/patchctl/socket" => socket.to_str().unwrap(),
        word => word,
    });
    let mut command = Command::new(env!("CARGO_BIN_EXE_patchctl"));
    command.args(own).env_remove("PATCHCTL_ROOT");
    let server = Server::spawn(command);
    let health = over(&socket, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    assert_eq!(health.status, 200);
    assert_eq!(server.stop(), 0);
}

#[test]
fn an_agent_that_is_another_user_can_ask_and_nothing_else() {
    use std::os::unix::fs::{PermissionsExt as _, chown};
    use std::os::unix::process::CommandExt as _;
    const SERVER: u32 = 65_531;
    const AGENT: u32 = 65_532;
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can be two users");
        return;
    }
    let sandbox = Sandbox::new(&[("a.txt", "one\n")]);
    let socket = sandbox.outside().join("run/socket");
    std::fs::create_dir(socket.parent().unwrap()).unwrap();
    std::fs::set_permissions(sandbox.outside(), std::fs::Permissions::from_mode(0o755)).unwrap();
    for path in [
        sandbox.root(),
        sandbox.root().join("a.txt"),
        socket.parent().unwrap().to_owned(),
    ] {
        chown(path, Some(SERVER), Some(SERVER)).unwrap();
    }
    let mut command = sandbox.command(&[
        "serve",
        "--socket",
        socket.to_str().unwrap(),
        "--socket-mode",
        "666",
    ]);
    command.uid(SERVER).gid(SERVER);
    let _server = Server::spawn(command);
    // As the agent: the socket answers, the tree and its state do not open.
    let body = append("a.txt", "asked").to_string();
    let script = r#"
import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); b = sys.argv[2].encode()
s.sendall(b"POST /api/patches/apply HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(b) + b)
print(s.recv(1 << 16).decode().split("\r\n")[0])
for name in sys.argv[3:]:
    for mode in ("r", "a"):
        try:
            open(name, mode); print("opened", name, mode)
        except PermissionError:
            pass
"#;
    let root = sandbox.root();
    let state = root.join(".mission_control");
    let mut agent = Command::new("python3");
    agent.args(["-c", script]).arg(&socket).arg(&body);
    for name in ["key", "lock", "log"] {
        agent.arg(state.join(name));
    }
    let Ok(said) = agent.uid(AGENT).gid(AGENT).output() else {
        eprintln!("skipped: there is no python3 for another user");
        return;
    };
    let talk = String::from_utf8_lossy(&said.stderr);
    if talk.contains("Permission denied") && said.stdout.is_empty() {
        eprintln!("skipped: another user cannot run python3: {talk}");
        return;
    }
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert_eq!(said.trim(), "HTTP/1.1 200 OK", "{talk}");
    assert_eq!(sandbox.read("a.txt"), "one\nasked\n");
    // It cannot write to the tree by itself, either.
    let direct = Command::new(env!("CARGO_BIN_EXE_patchctl"))
        .args(["append", "a.txt", "--content", "x", "--root"])
        .arg(&root)
        .current_dir("/")
        .uid(AGENT)
        .gid(AGENT)
        .output();
    assert!(!direct.is_ok_and(|output| output.status.success()));
    assert_eq!(sandbox.read("a.txt"), "one\nasked\n");
}
