//! What Relay's compiler and runtime need to be told of a schema.
//!
//! The compiler: the name of the global id, and what scalars are in TypeScript. The runtime: which objects its store keeps
//! under an id. By itself it takes whatever has a field `id`, also objects inside documents, whose ids are unique nowhere.

use anyhow::{anyhow, bail};
use apollo_compiler::Schema;
use apollo_compiler::schema::ExtendedType;
use serde_json::{Map, Value, json};
use thalweg_resolvers::IdNames;

use super::{GeneratedFile, Ownership};

/// Where the compiler puts what it makes: a folder beside its configuration.
pub(super) const ARTIFACTS: &str = "__generated__";

/// The first line of the module, by which it is known again.
const MARK: &str = "// Made by `thalweg codegen --lang relay`; each run makes it anew.";

/// What the JSON of a scalar is in TypeScript; `docs/clients.md` says the same.
const SCALARS: [(&str, &str); 7] = [
    ("BigInt", "number | string"),
    ("Bytes", "string"),
    ("Date", "string"),
    ("DateTime", "string"),
    ("Duration", "string"),
    ("JSON", "unknown"),
    ("Timestamp", "string"),
];

/// What of a schema matters here.
#[derive(Debug, PartialEq, Eq)]
struct Facts {
    ids: IdNames,
    /// The types whose objects have a global id, in order.
    nodes: Vec<String>,
    /// The scalars that GraphQL itself does not have, in order.
    scalars: Vec<String>,
}

/// The files for a schema. `documents` is where the application's documents are, as seen from where the files will be.
pub(super) fn files(sdl: &str, documents: &str) -> anyhow::Result<Vec<GeneratedFile>> {
    let facts = Facts::of(sdl)?;
    Ok(vec![
        GeneratedFile {
            name: "schema.graphql",
            text: sdl.to_owned(),
            ownership: Ownership::Program,
        },
        GeneratedFile {
            name: "relay.config.json",
            text: facts.configuration(documents)?,
            ownership: Ownership::Users,
        },
        GeneratedFile {
            name: "getDataID.ts",
            text: facts.module(),
            ownership: Ownership::MarkedProgram,
        },
    ])
}

impl Facts {
    fn of(sdl: &str) -> anyhow::Result<Facts> {
        let schema = Schema::parse_and_validate(sdl, "schema.graphql").map_err(|refused| {
            let errors = refused.errors.iter().map(|error| {
                let error = error.to_json();
                match error.locations.first() {
                    Some(at) => format!("{}:{}: {}", at.line, at.column, error.message),
                    None => error.message,
                }
            });
            let errors: Vec<String> = errors.collect();
            anyhow!("it is not a schema:\n{}", errors.join("\n"))
        })?;
        let Some(ExtendedType::Interface(node)) = schema.types.get("Node") else {
            bail!("the schema has no interface Node, by whose field objects are found again");
        };
        let is_field = |ids: &IdNames| node.fields.contains_key(ids.global());
        let Some(ids) = IdNames::ALL.into_iter().find(is_field) else {
            let names = IdNames::ALL.map(IdNames::global).join(" nor ");
            bail!("the schema's interface Node has neither the field {names}");
        };
        let (mut nodes, mut scalars) = (Vec::new(), Vec::new());
        for (name, ty) in &schema.types {
            match ty {
                ExtendedType::Object(object) => {
                    let mut interfaces = object.implements_interfaces.iter();
                    if interfaces.any(|interface| interface.name == "Node") {
                        nodes.push(name.to_string());
                    }
                }
                ExtendedType::Scalar(_) if !ty.is_built_in() => scalars.push(name.to_string()),
                _ => {}
            }
        }
        nodes.sort();
        scalars.sort();
        Ok(Facts {
            ids,
            nodes,
            scalars,
        })
    }

    /// The configuration of the compiler.
    fn configuration(&self, documents: &str) -> anyhow::Result<String> {
        let scalars = self.scalars.iter().map(|name| {
            let known = SCALARS.iter().find(|(known, _)| known == name);
            let ty = known.map_or("unknown", |(_, ty)| ty);
            (name.clone(), json!(ty))
        });
        let mut configuration = json!({
            "src": documents,
            "schema": "schema.graphql",
            "language": "typescript",
            "artifactDirectory": ARTIFACTS,
            "eagerEsModules": true,
            "useImportTypeSyntax": true,
            "customScalarTypes": scalars.collect::<Map<String, Value>>(),
            "requireCustomScalarTypes": true,
        });
        // The compiler takes `id` for granted.
        if self.ids != IdNames::Relay {
            configuration["schemaConfig"] = json!({
                ID_FIELD: self.ids.global(),
                "nodeInterfaceIdVariableName": self.ids.global(),
            });
        }
        let mut text = serde_json::to_string_pretty(&configuration)?;
        text.push('\n');
        Ok(text)
    }

    /// The module for the runtime.
    fn module(&self) -> String {
        let id = self.ids.global();
        let nodes: String = self
            .nodes
            .iter()
            .map(|name| format!("  {},\n", json!(name)))
            .collect();
        format!(
            "{MARK}\n\
             //\n\
             //   new Environment({{ network, store: new Store(new RecordSource()), getDataID }})\n\
             \n\
             /** The types whose objects have a global id. */\n\
             const NODES: ReadonlySet<string> = new Set([\n\
             {nodes}\
             ]);\n\
             \n\
             /**\n \
             * What Relay's store keeps an object under: its global id. Objects inside documents have none, though they may have a\n \
             * field of that name, which says nothing beyond their document; the store keeps those under their place.\n \
             */\n\
             export function getDataID(object: {{ readonly [field: string]: unknown }}, typeName: string): string | undefined {{\n  \
             const id = NODES.has(typeName) ? object[\"{id}\"] : undefined;\n  \
             return typeof id === \"string\" ? id : undefined;\n\
             }}\n"
        )
    }
}

/// The setting of the compiler that names the global id, and what it is without one.
const ID_FIELD: &str = "nodeInterfaceIdField";
const ID_FIELD_DEFAULT: &str = "id";

/// Where a configuration that is kept names another global id than the one that would have been made.
pub(super) fn disagreement(kept: &str, made: &str) -> Option<String> {
    let id_field = |text: &str| {
        let configuration: Value = serde_json::from_str(text).ok()?;
        let named = configuration["schemaConfig"][ID_FIELD].as_str();
        Some(named.unwrap_or(ID_FIELD_DEFAULT).to_owned())
    };
    let (kept, made) = (id_field(kept)?, id_field(made)?);
    (kept != made).then(|| {
        format!("by it objects are found by {kept:?}, but in the schema by {made:?}; change {ID_FIELD}, or use --force")
    })
}
