//! The directives that declare a collection as it is.

use thalweg_engine::{Catalog, Collection, IndexStatus, Retain, write_duration};
use thalweg_model::write_json_string;
use thalweg_schema_infer::{CollectionMode, default_type_name};

use super::relations;

/// `@collection(name: "movies", ttl: "30d") @index(fields: ["year DESC"])`: what is as by default is left out.
pub(crate) fn directives(collection: &Collection, catalog: &Catalog) -> String {
    let settings = &collection.settings;
    let mut arguments = vec![format!("name: {}", quoted(&collection.name))];
    let type_name = &collection.schema.names.type_name;
    if *type_name != default_type_name(&collection.name) {
        arguments.push(format!("type: {}", quoted(type_name)));
    }
    let mode = collection.mode();
    if mode != CollectionMode::Flexible {
        arguments.push(format!("mode: {}", mode.as_str()));
    }
    if !settings.soft_delete {
        arguments.push("softDelete: false".to_owned());
    }
    let duration =
        |name, span: Option<_>| span.map(|span| format!("{name}: \"{}\"", write_duration(span)));
    arguments.extend(duration("ttl", settings.ttl));
    let on_expire = settings.on_expire;
    arguments.extend(on_expire.map(|on_expire| format!("onExpire: {}", on_expire.as_str())));
    arguments.extend(duration("purgeAfter", settings.purge_after));
    if settings.retain != Retain::Forever {
        arguments.push(format!("retain: \"{}\"", settings.retain));
    }
    let mut text = format!("@collection({})", arguments.join(", "));
    for index in collection.indexes.iter() {
        // One that was made for a relation goes with it.
        if index.status == IndexStatus::Dropping || index.automatic {
            continue;
        }
        let fields: Vec<String> = index
            .definition
            .field_texts()
            .iter()
            .map(|field| quoted(field))
            .collect();
        let unique = if index.definition.unique {
            ", unique: true"
        } else {
            ""
        };
        text.push_str(&format!(" @index(fields: [{}]{unique})", fields.join(", ")));
    }
    relations::print(collection, catalog, &mut text);
    text
}

/// A GraphQL string: JSON's escapes are among GraphQL's.
fn quoted(text: &str) -> String {
    let mut out = Vec::new();
    write_json_string(text, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}
