//! Which process is this, and whose are the files that workers write?

use std::borrow::Cow;
use std::ffi::CStr;
use std::fs::File;
use std::path::{Path, PathBuf};

use ngx::ffi::{ngx_core_conf_t, ngx_core_module, ngx_cycle, ngx_cycle_t, ngx_test_config};

use super::{Request, bytes};

/// Whether a process with this id exists.
pub fn is_alive(pid: u32) -> bool {
    let Ok(pid) = libc::pid_t::try_from(pid) else { return false };
    // SAFETY: signal 0 only asks.
    let rc = unsafe { libc::kill(pid, 0) };
    rc == 0 || std::io::Error::last_os_error().raw_os_error() == Some(libc::EPERM)
}

/// The machine's name, as nginx knows it.
pub fn hostname() -> String {
    name_of_host().into_owned()
}

impl<'r> Request<'r> {
    /// The machine's name, as nginx knows it.
    pub fn hostname(self) -> Cow<'r, str> {
        name_of_host()
    }
}

fn name_of_host<'a>() -> Cow<'a, str> {
    // SAFETY: nginx sets ngx_cycle before it starts a process.
    let name = unsafe { (*ngx_cycle).hostname };
    // SAFETY: pool memory of the running cycle, which no request outlives.
    String::from_utf8_lossy(unsafe { bytes(name) })
}

/// Whether nginx only checks its configuration.
pub(super) fn only_tests() -> bool {
    // SAFETY: a plain number that nginx sets from its command line.
    unsafe { ngx_test_config != 0 }
}

/// The user of the workers; none where they run as whoever started nginx.
#[derive(Clone, Copy)]
pub struct Owner {
    /// In the memory of the configuration.
    name: &'static CStr,
    user: libc::uid_t,
    group: libc::gid_t,
}

/// Why a file cannot be read.
pub struct Barred {
    /// What the system says.
    pub error: std::io::Error,
    /// Not the file itself, but a folder above it.
    pub is_by_folder: bool,
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
        if user == libc::uid_t::MAX || conf.username.is_null() {
            return None;
        }
        // SAFETY: nginx keeps the name of the user with a zero behind it, as long as the cycle.
        let name = unsafe { CStr::from_ptr(conf.username) };
        Some(Self { name, user, group })
    }

    /// The user's name.
    pub fn name(&self) -> String {
        self.name.to_string_lossy().into_owned()
    }

    /// The number of its group.
    pub fn group(&self) -> u32 {
        self.group
    }

    /// Gives a file or folder to the workers.
    pub fn own(self, path: &Path) -> std::io::Result<()> {
        std::os::unix::fs::chown(path, Some(self.user), Some(self.group))
    }

    /// Of each file, whether the workers could not read it now. The system itself is asked, so that lists
    /// of access rights count too: a thread becomes the user, which on Linux no other thread notices.
    /// Files that nobody can read are not told.
    pub fn barred_from(self, paths: Vec<PathBuf>) -> Vec<Option<Barred>> {
        if self.user == 0 || paths.is_empty() {
            return paths.iter().map(|_| None).collect();
        }
        let count = paths.len();
        let groups = self.groups();
        let check = super::thread::spawn("llm-access", move || {
            if !self.become_user(&groups) {
                return Vec::new();
            }
            paths.iter().map(|path| barred(path)).collect()
        });
        let found: Option<Vec<_>> = check.and_then(|thread| thread.join().ok());
        found
            .filter(|found| found.len() == count)
            .unwrap_or_else(|| (0..count).map(|_| None).collect())
    }

    /// All groups of the user, as nginx gives them to its workers.
    fn groups(&self) -> Vec<libc::gid_t> {
        const MOST: libc::c_int = 1024;
        let mut groups = vec![0; MOST as usize];
        let mut count = MOST;
        // SAFETY: the name ends with a zero, and there is room for `count` groups.
        let rc = unsafe {
            libc::getgrouplist(self.name.as_ptr(), self.group, groups.as_mut_ptr(), &raw mut count)
        };
        groups.truncate(if rc < 0 { 0 } else { usize::try_from(count).unwrap_or(0) });
        if groups.is_empty() {
            groups.push(self.group);
        }
        groups
    }

    /// Makes the calling thread the user, in the eyes of file systems; false where it may not.
    fn become_user(self, groups: &[libc::gid_t]) -> bool {
        // The system's own call: the C library's would change every thread.
        // SAFETY: so many groups are readable there.
        let rc = unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) };
        // SAFETY: both change this thread alone and take plain numbers.
        unsafe { libc::setfsgid(self.group) };
        // SAFETY: as above.
        unsafe { libc::setfsuid(self.user) };
        // SAFETY: as above; what cannot be set tells who it is now.
        let now = unsafe { libc::setfsuid(libc::uid_t::MAX) };
        rc == 0 && libc::uid_t::try_from(now) == Ok(self.user)
    }
}

fn barred(path: &Path) -> Option<Barred> {
    let denied = |error: &std::io::Error| error.kind() == std::io::ErrorKind::PermissionDenied;
    if let Err(error) = std::fs::metadata(path) {
        return denied(&error).then_some(Barred { error, is_by_folder: true });
    }
    let error = File::open(path).err().filter(denied)?;
    Some(Barred { error, is_by_folder: false })
}
