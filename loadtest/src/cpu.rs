//! CPUs: which ones a thread or process may use, and how long it used them.
#![forbid(unsafe_code)]

use std::fs;
use std::io;
use std::str::FromStr;
use std::time::Duration;

use rustix::process::Pid;
use rustix::thread::CpuSet;

/// A list of CPUs as operators write it: `0`, `0,2`, `1-3,6`. Empty stands for all that are allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CpuList(Vec<usize>);

impl CpuList {
    /// The CPUs this process may use.
    pub(crate) fn allowed() -> io::Result<Self> {
        let set = rustix::thread::sched_getaffinity(None)?;
        Ok(Self(
            (0..CpuSet::MAX_CPU)
                .filter(|&cpu| set.is_set(cpu))
                .collect(),
        ))
    }

    /// How the CPUs are shared unless the command line says: the last is the client's, all others are
    /// the server's; a single one is shared.
    pub(crate) fn split(&self) -> (Self, Self) {
        match self.0.as_slice() {
            [server @ .., client] if !server.is_empty() => {
                (Self(server.to_vec()), Self(vec![*client]))
            }
            _ => (self.clone(), self.clone()),
        }
    }

    /// The CPUs.
    pub(crate) fn as_slice(&self) -> &[usize] {
        &self.0
    }

    /// The CPU of the `index`th of some threads that take turns; `None` for an empty list.
    pub(crate) fn nth(&self, index: usize) -> Option<usize> {
        self.0.get(index.checked_rem(self.0.len())?).copied()
    }

    /// Confines the calling thread, and whatever it starts from now on, to these CPUs.
    pub(crate) fn confine_thread(&self) -> io::Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let mut set = CpuSet::new();
        for &cpu in &self.0 {
            set.set(cpu);
        }
        Ok(rustix::thread::sched_setaffinity(None, &set)?)
    }
}

impl FromStr for CpuList {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| match text.trim().parse::<usize>() {
            Ok(cpu) if cpu < CpuSet::MAX_CPU => Ok(cpu),
            Ok(cpu) => Err(format!("CPU {cpu} is beyond {}", CpuSet::MAX_CPU - 1)),
            Err(_) => Err(format!("`{text}` is no CPU number")),
        };
        let mut cpus = Vec::new();
        for part in text.split(',') {
            match part.split_once('-') {
                None => cpus.push(number(part)?),
                Some((from, to)) => {
                    let (from, to) = (number(from)?, number(to)?);
                    if from > to {
                        return Err(format!("`{part}` runs backwards"));
                    }
                    cpus.extend(from..=to);
                }
            }
        }
        cpus.sort_unstable();
        cpus.dedup();
        Ok(Self(cpus))
    }
}

impl std::fmt::Display for CpuList {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, cpu) in self.0.iter().enumerate() {
            write!(f, "{}{cpu}", if index > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}

/// CPU time that a process has used so far, all threads together.
///
/// The scheduler's own account is read where the kernel keeps one: it counts nanoseconds, while `stat`
/// counts ticks of 10 ms. A thread that has ended is missing from the former, so the larger is right.
pub(crate) fn time_used(process: u32) -> io::Result<Duration> {
    let stat = parse_stat(&fs::read_to_string(format!("/proc/{process}/stat"))?)
        .ok_or_else(|| io::Error::other("/proc/<pid>/stat has an unknown form"))?;
    let mut scheduled = Duration::ZERO;
    for task in fs::read_dir(format!("/proc/{process}/task"))? {
        // A thread may end between being listed and being read.
        if let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) {
            scheduled += parse_schedstat(&text).unwrap_or_default();
        }
    }
    Ok(scheduled.max(stat))
}

/// CPU time that this process has used so far.
pub(crate) fn time_used_here() -> io::Result<Duration> {
    time_used(std::process::id())
}

/// Whether a process exists.
pub(crate) fn process_exists(process: u32) -> bool {
    i32::try_from(process)
        .ok()
        .and_then(Pid::from_raw)
        .is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok())
}

/// `utime + stime` of proc(5)'s stat line. The command's name may contain anything, so fields count
/// from its closing parenthesis.
fn parse_stat(text: &str) -> Option<Duration> {
    let (_, fields) = text.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let utime: u64 = fields.next()?.parse().ok()?;
    let stime: u64 = fields.next()?.parse().ok()?;
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Some(Duration::from_millis((utime + stime) * 1_000 / per_second))
}

/// The first field of schedstat: nanoseconds on a CPU.
fn parse_schedstat(text: &str) -> Option<Duration> {
    let ns = text.split_ascii_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(ns))
}

/// The CPU's model as the kernel names it.
pub(crate) fn model() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    text.lines()
        .find_map(|line| {
            let (name, value) = line.split_once(':')?;
            (name.trim() == "model name").then(|| value.trim().to_owned())
        })
        .unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Result<Vec<usize>, String> {
        text.parse::<CpuList>().map(|list| list.0)
    }

    #[test]
    fn lists_are_read_as_operators_write_them() {
        assert_eq!(list("0"), Ok(vec![0]));
        assert_eq!(list("1-3,6,2"), Ok(vec![1, 2, 3, 6]));
        for wrong in ["", "a", "3-1", "1-", "-1", "999999", "0-999999999"] {
            assert!(list(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_client_gets_the_last_cpu_to_itself() {
        let split = |cpus: &[usize]| {
            let (server, client) = CpuList(cpus.to_vec()).split();
            (server.0, client.0)
        };
        assert_eq!(split(&[0, 1, 2]), (vec![0, 1], vec![2]));
        assert_eq!(split(&[0]), (vec![0], vec![0]));
        assert_eq!(CpuList(vec![4, 5]).nth(3), Some(5));
        assert_eq!(CpuList::default().nth(3), None);
    }

    #[test]
    fn stat_is_read_past_a_name_that_imitates_it() {
        let per_second = rustix::param::clock_ticks_per_second();
        let text =
            format!("7 (a) b (c) S 1 7 7 0 -1 4194304 1 2 3 4 {per_second} {per_second} 0 0");
        assert_eq!(parse_stat(&text), Some(Duration::from_secs(2)));
        assert_eq!(parse_stat("7 (a"), None);
        assert_eq!(
            parse_schedstat("1500 20 3\n"),
            Some(Duration::from_nanos(1_500))
        );
    }

    #[test]
    fn work_costs_cpu_time() {
        let before = time_used_here().expect("proc is mounted");
        let mut x = 1_u64;
        // As long as it takes: the account is what is under test, not the machine.
        while time_used_here().expect("proc is mounted") <= before {
            x = std::hint::black_box(x.wrapping_mul(3));
        }
        assert!(process_exists(std::process::id()));
    }

    #[test]
    fn confining_a_thread_confines_it() {
        let allowed = CpuList::allowed().expect("Linux says");
        let one = CpuList(vec![allowed.nth(0).expect("it runs somewhere")]);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                one.confine_thread().expect("the CPU is allowed");
                assert_eq!(CpuList::allowed().expect("Linux says"), one);
            });
        });
    }
}
