//! The Pythons of the end-to-end tests: virtual environments of what their requirements say, in exact versions.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::{tools, workspace};

/// Where the files of requirements are.
const REQUIREMENTS: &str = "tests/e2e/tools/python";
/// The copy inside an environment of what was installed in it.
const INSTALLED: &str = "installed.txt";

/// Which packages an environment has. They are apart where they need different versions of one package.
#[derive(Clone, Copy)]
pub(crate) enum Packages {
    /// gql and Schemathesis.
    Clients,
    /// ariadne-codegen.
    Ariadne,
}

impl Packages {
    fn requirements(self) -> &'static str {
        match self {
            Packages::Clients => "requirements.txt",
            Packages::Ariadne => "requirements-ariadne.txt",
        }
    }
}

/// Whether the system's Python can make virtual environments.
pub(crate) fn can_make_environments() -> bool {
    tools::first_line("python3", &["-c", "import ensurepip, venv"]).is_some()
}

/// The Python of the environment, which is made, or made anew, unless it has what is wanted.
pub(crate) fn environment(packages: Packages) -> Result<PathBuf> {
    let file = packages.requirements();
    let directory = workspace::target_directory()?
        .join("e2e-python")
        .join(file.trim_end_matches(".txt"));
    let python = directory.join("bin/python");
    let requirements = workspace::root().join(REQUIREMENTS).join(file);
    let wanted = std::fs::read_to_string(&requirements)
        .with_context(|| format!("cannot read {}", requirements.display()))?;
    let installed = directory.join(INSTALLED);
    // Only an environment that was made to its end has the copy.
    if std::fs::read_to_string(&installed).is_ok_and(|it| it == wanted) {
        return Ok(python);
    }
    let path = directory.to_string_lossy();
    tools::run(&mut tools::command(
        "python3",
        &["-m", "venv", "--clear", &path],
        workspace::root(),
    ))?;
    let install = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--requirement",
        &requirements.to_string_lossy(),
    ];
    tools::run(&mut tools::command(&python, &install, workspace::root()))?;
    std::fs::write(&installed, wanted)
        .with_context(|| format!("cannot write {}", installed.display()))?;
    Ok(python)
}
