//! Parser of a process's limits on Linux, proc_pid_limits(5). Reads no file.

/// Returns the soft limit in the row that begins with `name`. `u64::MAX` means no limit.
pub(crate) fn soft_limit(limits: &str, name: &str) -> Option<u64> {
    let row = limits.lines().find_map(|line| line.strip_prefix(name))?;
    match row.split_ascii_whitespace().next()? {
        // `RLIM_INFINITY` in system calls. Go's procfs returns the same value (`parseUint` in its proc_limits.go).
        "unlimited" => Some(u64::MAX),
        limit => limit.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_soft_limit() {
        let table = [
            ("Max open files            64                   1024                 files     \n", Some(64)),
            (
                "Limit   Soft Limit   Hard Limit   Units\nMax processes  1  2  processes\nMax open files 1024 4096 files\n",
                Some(1024),
            ),
            ("Max open files            unlimited            1024                 files\n", Some(u64::MAX)),
            ("Max open files            infinite             1024                 files\n", None),
            ("Max open files            -1                   1024                 files\n", None),
            ("Max open files", None),
            ("Max processes  1  2  processes\n", None),
            ("", None),
        ];
        for (limits, expected) in table {
            assert_eq!(soft_limit(limits, "Max open files"), expected, "{limits:?}");
        }
    }
}
