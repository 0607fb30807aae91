//! Trusted documents: the operations that an operator lets run, from the manifests that client tools write.
//!
//! A path is a file or a directory, whose files are read together. A `.json` file is a manifest: Apollo's
//! (`{"format": "apollo-persisted-query-manifest", "operations": [{"id", "body", …}]}`), or an object from ids to texts,
//! as `relay-compiler` and graphql-codegen's client preset write it. Any other file (`.graphql`, `.gql`) is one document.
//! Every document is also known by its SHA-256, whatever id its tool gave it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::Deserialize;
use thalweg_resolvers::{Resolvers, TrustedDocuments, text_hash};

/// How many documents that are not valid now are told one by one.
const WARNINGS_MAX: usize = 20;

/// Reads the documents, lets only them run from now on, and warns of those that the present schema does not allow.
pub(crate) fn apply(path: &Path, resolvers: &Resolvers) -> anyhow::Result<()> {
    let documents = load(path)?;
    let invalid = invalid(&documents, resolvers);
    for warning in invalid.iter().take(WARNINGS_MAX) {
        eprintln!("thalweg: {warning}");
    }
    if let Some(more) = invalid.len().checked_sub(WARNINGS_MAX + 1) {
        let more = more + 1;
        eprintln!(
            "thalweg: {more} more trusted documents are not valid against the present schema"
        );
    }
    eprintln!(
        "thalweg: only the documents listed in {} are run, {} ids",
        path.display(),
        documents.len()
    );
    resolvers.trust(Some(documents));
    Ok(())
}

/// Does it again whenever the process gets SIGHUP. What cannot be read changes nothing.
pub(crate) fn reload_on_hangup(path: PathBuf, resolvers: Resolvers) -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut hangup = signal(SignalKind::hangup()).context("cannot wait for SIGHUP")?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            let (path, resolvers) = (path.clone(), resolvers.clone());
            let applied = tokio::task::spawn_blocking(move || apply(&path, &resolvers));
            if let Ok(Err(error)) = applied.await {
                eprintln!("thalweg: the trusted documents stay as they were: {error:#}");
            }
        }
    });
    Ok(())
}

/// A line for each text that cannot be run now, by its least id. They stay listed: a later schema may allow them.
fn invalid(documents: &TrustedDocuments, resolvers: &Resolvers) -> Vec<String> {
    let mut by_text: BTreeMap<&str, &str> = BTreeMap::new();
    for (id, text) in documents.iter() {
        let least = by_text.entry(text).or_insert(id);
        *least = id.min(least);
    }
    let mut lines: Vec<String> = by_text
        .into_iter()
        .filter_map(|(text, id)| {
            let failure = resolvers.check_text(text).err()?;
            Some(format!(
                "the trusted document {id} is not valid against the present schema: {failure}"
            ))
        })
        .collect();
    lines.sort();
    lines
}

/// Reads a file, or all files of a directory.
fn load(path: &Path) -> anyhow::Result<TrustedDocuments> {
    let mut documents = TrustedDocuments::default();
    let is_directory = fs::metadata(path)
        .with_context(|| format!("cannot read the trusted documents {}", path.display()))?
        .is_dir();
    if !is_directory {
        add_file(path, &mut documents)?;
        return Ok(documents);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))? {
        let file = entry?.path();
        let extension = file.extension().and_then(|extension| extension.to_str());
        if matches!(extension, Some("json" | "graphql" | "gql")) {
            files.push(file);
        }
    }
    if files.is_empty() {
        bail!(
            "{} has no .json, .graphql or .gql file, so nothing could be run",
            path.display()
        );
    }
    files.sort();
    for file in &files {
        add_file(file, &mut documents)?;
    }
    Ok(documents)
}

/// A manifest as Apollo's tools write it.
#[derive(Deserialize)]
struct ApolloManifest {
    format: String,
    operations: Vec<ApolloOperation>,
}

#[derive(Deserialize)]
struct ApolloOperation {
    id: String,
    body: String,
}

/// The manifests that are told apart by their members.
#[derive(Deserialize)]
#[serde(untagged)]
enum Manifest {
    Apollo(ApolloManifest),
    /// An object from ids to texts.
    ById(BTreeMap<String, String>),
}

fn add_file(file: &Path, documents: &mut TrustedDocuments) -> anyhow::Result<()> {
    let text =
        fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let is_manifest = file
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    if !is_manifest {
        return add(&text_hash(&text), &text, documents);
    }
    let manifest: Manifest = serde_json::from_str(&text).with_context(|| {
        format!(
            "{} is no manifest; that is {{\"format\": \"apollo-persisted-query-manifest\", \"operations\": [{{\"id\": …, \
             \"body\": …}}]}} or an object from ids to texts",
            file.display()
        )
    })?;
    let pairs: Vec<(String, String)> = match manifest {
        Manifest::Apollo(manifest) if manifest.format != "apollo-persisted-query-manifest" => {
            bail!(
                "{} has the format {:?}, which is not known here",
                file.display(),
                manifest.format
            );
        }
        Manifest::Apollo(manifest) => {
            let operations = manifest.operations.into_iter();
            operations.map(|one| (one.id, one.body)).collect()
        }
        Manifest::ById(by_id) => by_id.into_iter().collect(),
    };
    for (id, text) in &pairs {
        add(id, text, documents).with_context(|| format!("in {}", file.display()))?;
    }
    Ok(())
}

fn add(id: &str, text: &str, documents: &mut TrustedDocuments) -> anyhow::Result<()> {
    if !documents.insert(id, text) {
        bail!("the id {id:?} stands for two different texts");
    }
    if !documents.insert(&text_hash(text), text) {
        bail!("the SHA-256 of the text of {id:?} is the id of another text");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
