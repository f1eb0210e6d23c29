//! The test orchestrator as a program, to develop against by hand.
//!
//! `orchestrator [--port N] [--database FILE] [--token T] [--secret whsec_…] [--order FILE]`:
//! prints its URL and every request. An order is what `POST /api/orders` takes.

#[path = "mod.rs"]
mod orchestrator;

use orchestrator::{Options, Orchestrator};

fn main() {
    let mut options = Options {
        port: 8000,
        verbose: true,
        ..Options::default()
    };
    let mut order = None;
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let Some(value) = arguments.next() else {
            eprintln!("{name} needs a value; see the top of tests/orchestrator/main.rs");
            std::process::exit(2);
        };
        match name.as_str() {
            "--port" => options.port = value.parse().expect("--port takes a number"),
            "--database" => options.database = Some(value.into()),
            "--token" => options.token = Some(value),
            "--secret" => options.secret = Some(value),
            "--order" => order = Some(std::fs::read_to_string(value).expect("the order is read")),
            _ => {
                eprintln!("{name} is unknown; see the top of tests/orchestrator/main.rs");
                std::process::exit(2);
            }
        }
    }
    let orchestrator = Orchestrator::start_with(options);
    println!("listening on {}", orchestrator.url());
    if let Some(order) = order {
        let order: serde_json::Value = serde_json::from_str(&order).expect("the order is JSON");
        println!("made {}", orchestrator.create(&order));
    }
    orchestrator.wait();
}
