//! `schema`, `completions`, `man`: what the program says about itself.

use std::io::Write as _;

use clap::CommandFactory as _;

use crate::cli::Cli;
use crate::cli::meta::{Completions, Man, Schema};
use crate::exit::{Exit, Failure};
use crate::report::Context;

/// `schema [NAME]`
pub(crate) fn schema(arguments: &Schema, context: &Context) -> Result<Exit, Failure> {
    let mut text = String::new();
    match &arguments.name {
        None => {
            for name in patchcore::schema::names() {
                text.push_str(name);
                text.push('\n');
            }
        }
        Some(name) => {
            let schema = patchcore::schema::of(name).ok_or_else(|| {
                let names: Vec<_> = patchcore::schema::names().collect();
                let names = names.join(", ");
                Failure::Usage(format!("no schema is named {name:?}; there are {names}"))
            })?;
            text = format!("{schema:#}\n");
        }
    }
    print(&text, context)
}

/// `completions SHELL`
pub(crate) fn completions(arguments: &Completions, context: &Context) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(
        arguments.shell,
        &mut Cli::command(),
        "patchctl",
        &mut script,
    );
    print(&String::from_utf8_lossy(&script), context)
}

/// `man [COMMAND]…`
pub(crate) fn man(arguments: &Man, context: &Context) -> Result<Exit, Failure> {
    let mut program = Cli::command();
    program.build();
    let mut command = &program;
    for name in &arguments.command {
        command = command.find_subcommand(name).ok_or_else(|| {
            Failure::Usage(format!("{} has no command {name:?}", command.get_name()))
        })?;
    }
    let title = command
        .get_display_name()
        .unwrap_or(command.get_name())
        .to_owned();
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone())
        .title(title)
        .render(&mut page)
        .map_err(Failure::Output)?;
    print(&String::from_utf8_lossy(&page), context)
}

fn print(text: &str, context: &Context) -> Result<Exit, Failure> {
    context
        .stdout()
        .write_all(text.as_bytes())
        .map_err(Failure::Output)?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use crate::cli::Cli;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
