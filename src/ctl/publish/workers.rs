//! Whom do nginx's workers run as? They read the key file again whenever it changes, and write what the
//! gateway keeps, so a root that root has made must let them in.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

/// Who it is where nobody says: the first that the machine has.
const USUAL: [&str; 3] = ["www-data", "nginx", "nobody"];

/// Group members may enter, and new files are the group's.
const SHARED: u32 = 0o2750;

/// The user of nginx's workers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workers {
    /// For nginx's directive `user`.
    pub user: String,
    /// Its group.
    pub gid: u32,
}

impl Workers {
    /// The user that is named, or a usual one. Without root's rights nginx can change to nobody else.
    pub fn find(given: Option<&str>) -> Result<Option<Self>, String> {
        if !rustix::process::geteuid().is_root() {
            return match given {
                None => Ok(None),
                Some(user) => Err(format!(
                    "only root can let nginx run as \"{user}\", leave --user out or use sudo"
                )),
            };
        }
        let users = fs::read_to_string("/etc/passwd")
            .map_err(|why| format!("\"/etc/passwd\" cannot be read: {why}"))?;
        match given {
            Some(user) => Self::named(user, &users)
                .map(Some)
                .ok_or_else(|| format!("there is no user \"{user}\", see /etc/passwd")),
            None => Ok(USUAL.iter().find_map(|user| Self::named(user, &users))),
        }
    }

    fn named(user: &str, users: &str) -> Option<Self> {
        let line = users.lines().find(|line| line.split(':').next() == Some(user))?;
        let gid = line.split(':').nth(3)?.parse().ok()?;
        Some(Self { user: user.to_owned(), gid })
    }

    /// Lets them into a folder.
    pub fn share_folder(&self, path: &Path) -> io::Result<()> {
        chown(path, None, Some(self.gid))?;
        // Behind the change of group, which takes the bit for it away.
        fs::set_permissions(path, fs::Permissions::from_mode(SHARED))
    }

    /// Lets them read a file that its group may read.
    pub fn share_file(&self, path: &Path) -> io::Result<()> {
        if fs::metadata(path)?.gid() == self.gid {
            return Ok(());
        }
        chown(path, None, Some(self.gid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let users = "root:x:0:0:root:/root:/bin/sh\nwww-data-2:x:7:8::/:/bin/sh\nwww-data:x:33:34::/:/bin/false\n";
        let found = Workers::named("www-data", users);
        assert_eq!(found, Some(Workers { user: "www-data".to_owned(), gid: 34 }));
        assert_eq!(Workers::named("nginx", users), None);
        assert_eq!(Workers::named("x", "x:broken"), None);
    }
}
