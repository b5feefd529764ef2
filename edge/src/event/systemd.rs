//! Tells systemd how the program is: ready, alive, stopping. Knows the service manager's socket only;
//! without one, as on a terminal, nothing is said.
//!
//! With `Type=notify` and `WatchdogSec=` in the unit, systemd restarts the program where [`Notify::alive`]
//! is not called in time. It belongs into the frame loop and nowhere else: a timer would vouch for a
//! loop that hangs.

use std::io;
use std::time::{Duration, Instant};

use sd_notify::NotifyState;

/// The way to the service manager.
#[derive(Debug)]
pub struct Notify {
    /// How often the manager wants to hear, where it does.
    watchdog: Option<Duration>,
    said: Option<Instant>,
}

impl Notify {
    /// As the environment has it: `NOTIFY_SOCKET`, `WATCHDOG_USEC`, `WATCHDOG_PID`.
    pub fn from_environment() -> Self {
        Self {
            watchdog: sd_notify::watchdog_enabled(),
            said: None,
        }
    }

    /// Frames come and are decided: what was ordered after this service may start.
    ///
    /// # Errors
    /// The manager's socket is named but cannot be written to; so with the others.
    pub fn ready(&self) -> io::Result<()> {
        sd_notify::notify(&[NotifyState::Ready])
    }

    /// The loop has come round once more. Call it at each turn: it is said at most four times in a
    /// watchdog's period.
    ///
    /// # Errors
    /// As [`Notify::ready`].
    pub fn alive(&mut self) -> io::Result<()> {
        let Some(period) = self.watchdog else {
            return Ok(());
        };
        if self.said.is_some_and(|said| said.elapsed() < period / 4) {
            return Ok(());
        }
        self.said = Some(Instant::now());
        sd_notify::notify(&[NotifyState::Watchdog])
    }

    /// A line for `systemctl status`.
    ///
    /// # Errors
    /// As [`Notify::ready`].
    pub fn status(&self, line: &str) -> io::Result<()> {
        // A second line would be a message of its own.
        let line = line.replace('\n', " ");
        sd_notify::notify(&[NotifyState::Status(&line)])
    }

    /// The program ends because it was told to.
    ///
    /// # Errors
    /// As [`Notify::ready`].
    pub fn stopping(&self) -> io::Result<()> {
        sd_notify::notify(&[NotifyState::Stopping])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixDatagram;
    use std::process::Command;

    const ITSELF: &str =
        "event::systemd::tests::the_service_manager_hears_ready_alive_and_stopping";

    #[test]
    fn the_service_manager_hears_ready_alive_and_stopping() {
        if std::env::var_os("NOTIFY_SOCKET").is_some() {
            return a_service();
        }
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("notify");
        let manager = UnixDatagram::bind(&socket).unwrap();
        // Its environment is the service's own: so this test again, in a process of its own.
        let service = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", ITSELF])
            .env("NOTIFY_SOCKET", &socket)
            .env("WATCHDOG_USEC", "3600000000")
            .env_remove("WATCHDOG_PID")
            .output()
            .unwrap();
        assert!(service.status.success(), "{service:?}");
        manager.set_nonblocking(true).unwrap();
        let mut heard = Vec::new();
        let mut buffer = [0; 256];
        while let Ok(length) = manager.recv(&mut buffer) {
            heard.push(String::from_utf8(buffer[..length].to_vec()).unwrap());
        }
        let expected = [
            "READY=1\n",
            "WATCHDOG=1\n",
            "STATUS=live of 3 classes\n",
            "STOPPING=1\n",
        ];
        assert_eq!(heard, expected);
    }

    fn a_service() {
        let mut notify = Notify::from_environment();
        notify.ready().unwrap();
        // A hundred turns of a loop, far less than a quarter of the hour that is asked for.
        for _ in 0..100 {
            notify.alive().unwrap();
        }
        notify.status("live\nof 3 classes").unwrap();
        notify.stopping().unwrap();
    }

    #[test]
    fn without_a_service_manager_nothing_is_said() {
        let mut notify = Notify {
            watchdog: None,
            said: None,
        };
        notify.alive().unwrap();
        assert_eq!(notify.said, None);
    }
}
