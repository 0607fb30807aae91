//! Where fetched files are kept: a folder of the user's that may be deleted at any time.

use std::ffi::OsString;
use std::path::PathBuf;

/// `$THALWEG_CACHE`, else `$XDG_CACHE_HOME/thalweg`, else `.cache/thalweg` in the home directory. For
/// a user without a home it is below the system's directory for temporary files.
pub fn cache_directory() -> PathBuf {
    choose(|name| std::env::var_os(name), std::env::home_dir())
}

/// Empty variables count as unset. So does a relative `XDG_CACHE_HOME`, as the XDG base directory
/// specification wants it.
fn choose(variable: impl Fn(&str) -> Option<OsString>, home: Option<PathBuf>) -> PathBuf {
    let folder = |name| {
        let value = variable(name).filter(|value| !value.is_empty());
        value.map(PathBuf::from)
    };
    if let Some(ours) = folder("THALWEG_CACHE") {
        return ours;
    }
    let caches = folder("XDG_CACHE_HOME").filter(|path| path.is_absolute());
    let home = home.filter(|path| !path.as_os_str().is_empty());
    caches
        .or_else(|| home.map(|home| home.join(".cache")))
        .unwrap_or_else(std::env::temp_dir)
        .join("thalweg")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(ours: &str, xdg: &str, home: &str, expected: &str) {
        let variable = |name: &str| match name {
            "THALWEG_CACHE" => Some(ours.into()),
            "XDG_CACHE_HOME" => Some(xdg.into()),
            _ => None,
        };
        assert_eq!(choose(variable, Some(home.into())), PathBuf::from(expected));
    }

    #[test]
    fn the_most_specific_setting_wins() {
        check("/a", "/b", "/h", "/a");
        check("a", "/b", "/h", "a");
        check("", "/b", "/h", "/b/thalweg");
        check("", "b", "/h", "/h/.cache/thalweg");
        check("", "", "/h", "/h/.cache/thalweg");
        let nowhere = choose(|_| None, None);
        assert_eq!(nowhere, std::env::temp_dir().join("thalweg"));
    }
}
