//! Users and groups by name, from `/etc/passwd` and `/etc/group`.
//!
//! Directory services are not asked: that would take `getpwnam`, which loads whatever libraries the host
//! has configured into this process. An account they keep is named by its number.
#![forbid(unsafe_code)]

use std::fs;

/// The number of a user.
#[must_use]
pub fn user_id(name: &str) -> Option<u32> {
    find(&fs::read_to_string("/etc/passwd").ok()?, name)
}

/// The number of a group.
#[must_use]
pub fn group_id(name: &str) -> Option<u32> {
    find(&fs::read_to_string("/etc/group").ok()?, name)
}

/// Both files have the name in the first column and the number in the third.
fn find(accounts: &str, name: &str) -> Option<u32> {
    accounts.lines().find_map(|line| {
        let mut columns = line.split(':');
        (columns.next() == Some(name))
            .then(|| columns.nth(1)?.parse().ok())
            .flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_found_by_its_whole_name_only() {
        let accounts =
            "root:x:0:0:root:/root:/bin/bash\nwww-data:x:33:33::/var/www:/bin/false\nbad\n";
        assert_eq!(find(accounts, "www-data"), Some(33));
        assert_eq!(find(accounts, "www"), None);
        assert_eq!(find(accounts, "bad"), None);
        assert_eq!(user_id("root"), Some(0));
    }
}
