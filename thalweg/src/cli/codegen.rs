//! The options of `thalweg codegen`.

use std::path::{Path, PathBuf};

use clap::Args;

use super::ServerArguments;

/// What `thalweg codegen` was asked to do.
#[derive(Debug, Args)]
pub(crate) struct CodegenArguments {
    /// For which client: relay.
    #[arg(long, value_name = "LANG", value_parser = language)]
    pub(crate) lang: CodegenLanguage,
    /// The directory to write into; created when it is not there.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Where the application's documents are. relay-compiler takes a directory: what stands before the first wildcard.
    #[arg(long, value_name = "GLOB", default_value = "src/**", value_parser = documents)]
    pub(crate) documents: DocumentsDirectory,
    /// A file with the schema as SDL, in place of a running server.
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    pub(crate) schema: Option<PathBuf>,
    /// Write also over files that have been changed.
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) server: ServerArguments,
}

/// For which client something can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CodegenLanguage {
    Relay,
}

/// The directory that has an application's documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DocumentsDirectory(pub(crate) PathBuf);

fn language(text: &str) -> Result<CodegenLanguage, String> {
    match text {
        "relay" => Ok(CodegenLanguage::Relay),
        _ => Err(
            "there is relay. Others are served by their own generators, which read /schema.graphql or introspection: GraphQL \
             Code Generator and gql.tada (TypeScript), ariadne-codegen (Python), graphql_client (Rust); docs/clients.md says \
             what each needs to be told"
                .to_owned(),
        ),
    }
}

/// What relay-compiler reads documents from.
const EXTENSIONS: [&str; 4] = ["js", "jsx", "ts", "tsx"];

fn documents(glob: &str) -> Result<DocumentsDirectory, String> {
    let is_wild = |part: &str| part.contains(['*', '?', '[', '{']);
    let path = Path::new(glob);
    let parts = || {
        path.components()
            .map(|part| part.as_os_str().to_string_lossy())
    };
    let directory: PathBuf = parts()
        .take_while(|part| !is_wild(part))
        .filter(|part| part != ".")
        .map(|part| PathBuf::from(&*part))
        .collect();
    let last = parts().next_back().unwrap_or_default();
    if let Some((_, extensions)) = last.rsplit_once('.').filter(|_| is_wild(&last)) {
        let mut alternatives = extensions
            .split(['{', '}', ','])
            .filter(|it| !it.is_empty());
        if let Some(other) = alternatives.find(|it| !is_wild(it) && !EXTENSIONS.contains(it)) {
            return Err(format!(
                "relay-compiler reads the documents in graphql tags of .js, .jsx, .ts and .tsx files, and none of .{other}"
            ));
        }
    }
    Ok(DocumentsDirectory(match directory.as_os_str().is_empty() {
        true => PathBuf::from("."),
        false => directory,
    }))
}
