//! Which process is this, and whose are the files that workers write?

use std::path::Path;

use ngx::ffi::{ngx_core_conf_t, ngx_core_module, ngx_cycle, ngx_cycle_t, ngx_test_config};

use super::bytes;

/// Whether a process with this id exists.
pub fn is_alive(pid: u32) -> bool {
    let Ok(pid) = libc::pid_t::try_from(pid) else { return false };
    // SAFETY: signal 0 only asks.
    let rc = unsafe { libc::kill(pid, 0) };
    rc == 0 || std::io::Error::last_os_error().raw_os_error() == Some(libc::EPERM)
}

/// The machine's name, as nginx knows it.
pub fn hostname() -> String {
    // SAFETY: nginx sets ngx_cycle before it starts a process.
    let name = unsafe { (*ngx_cycle).hostname };
    // SAFETY: pool memory of the running cycle.
    String::from_utf8_lossy(unsafe { bytes(name) }).into_owned()
}

/// Whether nginx only checks its configuration.
pub(super) fn only_tests() -> bool {
    // SAFETY: a plain number that nginx sets from its command line.
    unsafe { ngx_test_config != 0 }
}

/// The user of the workers; none where they run as whoever started nginx.
#[derive(Clone, Copy)]
pub struct Owner {
    user: libc::uid_t,
    group: libc::gid_t,
}

impl Owner {
    pub(super) fn of(cycle: *mut ngx_cycle_t) -> Option<Self> {
        // SAFETY: the effective user is a plain number.
        if unsafe { libc::geteuid() } != 0 {
            return None;
        }
        // SAFETY: the cycle is configured; the core module has an index.
        let conf = unsafe { *(*cycle).conf_ctx.add(ngx_core_module.index) };
        // SAFETY: the core module's own configuration, by value: a pointer to a pointer.
        let conf = unsafe { conf.cast::<ngx_core_conf_t>().as_ref() }?;
        // Unset is the largest number: then nginx stays who it is.
        let user = libc::uid_t::try_from(conf.user).ok()?;
        let group = libc::gid_t::try_from(conf.group).ok()?;
        (user != libc::uid_t::MAX).then_some(Self { user, group })
    }

    /// Gives a file or folder to the workers.
    pub fn own(self, path: &Path) -> std::io::Result<()> {
        std::os::unix::fs::chown(path, Some(self.user), Some(self.group))
    }
}
