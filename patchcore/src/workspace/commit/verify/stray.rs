//! Processes that a verification command started and that outlived it, known by a variable in their
//! environment. Where there is no `/proc`, none are found.

use std::fs;

use rustix::process::{Pid, Signal};

/// Most processes that are named.
const SHOWN: usize = 5;
/// How often processes are looked for that were started while others were killed.
const ROUNDS: usize = 16;

/// Names the processes that bear the mark; `None` where there are none.
pub(super) fn names(variable: &str, mark: &str) -> Option<String> {
    shown(&find(variable, mark))
}

/// Kills the processes that bear the mark, and names them; `None` where there are none.
pub(super) fn kill(variable: &str, mark: &str) -> Option<String> {
    let mut killed = Vec::new();
    for _ in 0..ROUNDS {
        let found = find(variable, mark);
        if found.is_empty() {
            break;
        }
        for (pid, name) in found {
            if end(pid, || is_marked(pid, variable, mark)) {
                killed.push((pid, name));
            }
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    killed.sort_by_key(|(pid, _)| pid.as_raw_nonzero());
    killed.dedup_by_key(|(pid, _)| *pid);
    shown(&killed)
}

/// Kills a process that is still the one that is meant.
#[cfg(target_os = "linux")]
fn end(pid: Pid, is_meant: impl Fn() -> bool) -> bool {
    use rustix::process::{PidfdFlags, pidfd_open, pidfd_send_signal};
    // Held by its descriptor, the process cannot be another one by the time that it is killed.
    pidfd_open(pid, PidfdFlags::empty())
        .is_ok_and(|process| is_meant() && pidfd_send_signal(process, Signal::KILL).is_ok())
}

#[cfg(not(target_os = "linux"))]
fn end(pid: Pid, is_meant: impl Fn() -> bool) -> bool {
    is_meant() && rustix::process::kill_process(pid, Signal::KILL).is_ok()
}

fn find(variable: &str, mark: &str) -> Vec<(Pid, String)> {
    let Ok(processes) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = processes.filter_map(|entry| {
        let name = entry.ok()?.file_name();
        Pid::from_raw(name.to_str()?.parse().ok()?)
    });
    pids.filter(|pid| is_marked(*pid, variable, mark))
        .filter_map(|pid| {
            let file = |name| format!("/proc/{}/{name}", pid.as_raw_nonzero());
            // One that has ended and is not waited for yet does nothing more.
            let status = fs::read_to_string(file("status")).ok()?;
            let is_dead = |line: &str| line.starts_with("State:") && line.contains('Z');
            let name = fs::read_to_string(file("comm")).unwrap_or_default();
            (!status.lines().any(is_dead)).then(|| (pid, name.trim_end().to_owned()))
        })
        .collect()
}

fn is_marked(pid: Pid, variable: &str, mark: &str) -> bool {
    let environment = fs::read(format!("/proc/{}/environ", pid.as_raw_nonzero()));
    let wanted = format!("{variable}={mark}");
    environment.is_ok_and(|bytes| {
        bytes
            .split(|&byte| byte == 0)
            .any(|entry| entry == wanted.as_bytes())
    })
}

fn shown(processes: &[(Pid, String)]) -> Option<String> {
    if processes.is_empty() {
        return None;
    }
    let named = processes.iter().take(SHOWN);
    let mut text: Vec<String> = named
        .map(|(pid, name)| format!("{name} ({})", pid.as_raw_nonzero()))
        .collect();
    if processes.len() > SHOWN {
        text.push(format!("{} more", processes.len() - SHOWN));
    }
    Some(text.join(", "))
}
