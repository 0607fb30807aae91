//! Inputs and patches: the input types through which documents are written.
//!
//! An input is a whole document or object, a patch is a change of one. Objects inside documents have
//! both: a patch merges into an object, while a list is replaced by a list of inputs. Keyed maps are
//! written as entries and patched with `{set, remove}`. Input types that would be empty are left out,
//! and so is every key that would have one.

use super::related_inputs;
use super::sdl::{Nested, NestedType, Related};
use super::writer::{Body, Writer};
use crate::types::{CollectionSchema, Field, FieldType, Items, MapType, ObjectType};

/// Writes the input types of a collection and of what is inside its documents.
pub(super) fn write(
    schema: &CollectionSchema,
    nested: &[Nested<'_>],
    related: Related<'_>,
    writer: &mut Writer<'_>,
) {
    write_document_input(schema, related, writer);
    write_document_patch(schema, related, writer);
    write_operand_types(&schema.names.type_name, &schema.object, writer);
    for ty in nested {
        match ty.ty {
            NestedType::Object(object) => {
                writer.block("", &["input ", &object.name, "Input"], |body| {
                    write_fields(object, write_input_field, body);
                    related_inputs::write_fields(&object.name, related, body);
                });
                if ty.in_place {
                    write_object_patch(object, related, writer);
                    write_operand_types(&object.name, object, writer);
                }
            }
            NestedType::Map(entry) => {
                let mut value = String::new();
                write_input_type(&entry.value, &mut value);
                if entry.is_value_required {
                    value.push('!');
                }
                writer.block("", &["input ", &entry.entry_name, "Input"], |body| {
                    body.plain(&["key: String!"]);
                    body.plain(&["value: ", &value]);
                });
                if ty.in_place {
                    write_map_patch(entry, writer);
                }
            }
        }
    }
    write_field_enum(schema, writer);
}

fn write_document_input(schema: &CollectionSchema, related: Related<'_>, writer: &mut Writer<'_>) {
    let names = &schema.names;
    let description = format!("A document for `{}`.", names.collection);
    writer.block(&description, &["input ", &names.input], |body| {
        let id = schema.own_id(related.ids);
        body.member("Made by the server if it is not given.", &[&id, ": ID"]);
        write_fields(&schema.object, write_input_field, body);
        related_inputs::write_fields(&names.type_name, related, body);
        body.member(
            "An object with fields that no document has yet, or under original names.",
            &["_extra: JSON"],
        );
        write_expiry(body);
    });
}

fn write_expiry(body: &mut Body<'_>) {
    body.member(
        "When it expires; without it the collection's `ttl` counts.",
        &["_expiresAt: DateTime"],
    );
    body.member(
        "What becomes of it then; without it the collection's `onExpire` counts.",
        &["_onExpire: OnExpire"],
    );
}

fn write_document_patch(schema: &CollectionSchema, related: Related<'_>, writer: &mut Writer<'_>) {
    let names = &schema.names;
    let object = &schema.object;
    let description = format!(
        "A change of a document of `{}`: absent leaves alone, null removes, objects merge, lists \
         replace.",
        names.collection
    );
    writer.block(&description, &["input ", &names.patch], |body| {
        write_fields(object, write_patch_field, body);
        related_inputs::write_fields(&names.type_name, related, body);
        if !object.fields.is_empty() {
            body.member("Fields to remove.", &["_unset: [", &names.field_enum, "!]"]);
        }
        body.member(
            "An object with values to store as they are, nulls too, under original names.",
            &["_set: JSON"],
        );
        if has_numbers(object) {
            body.member(
                "Numbers to add.",
                &["_inc: ", &names.type_name, "Increment"],
            );
        }
        if has_lists(object) {
            let items = format!("{}ListItems", names.type_name);
            body.member("Items to append.", &["_push: ", &items]);
            body.member(
                "Items to append unless they are there.",
                &["_addToSet: ", &items],
            );
            body.member("Items to remove, wherever they are.", &["_pull: ", &items]);
        }
        body.member(
            "An object with fields that no document has yet, or under original names.",
            &["_extra: JSON"],
        );
        write_expiry(body);
    });
}

fn write_object_patch(object: &ObjectType, related: Related<'_>, writer: &mut Writer<'_>) {
    let description = "Absent leaves alone, null removes, objects merge, lists replace.";
    writer.block(description, &["input ", &object.name, "Patch"], |body| {
        write_fields(object, write_patch_field, body);
        related_inputs::write_fields(&object.name, related, body);
    });
}

fn write_map_patch(entry: &MapType, writer: &mut Writer<'_>) {
    writer.block("", &["input ", &entry.name, "MapPatch"], |body| {
        body.member(
            "Entries to add, or to put in place of those with their keys.",
            &["set: [", &entry.entry_name, "Input!]"],
        );
        body.member("Keys to remove.", &["remove: [String!]"]);
    });
}

/// The type of a field in an input: a field that has a default need not be given.
fn write_input_field(field: &Field, out: &mut String) {
    write_input_type(&field.ty, out);
    if field.must_be_given() {
        out.push('!');
    }
}

fn write_patch_field(field: &Field, out: &mut String) {
    write_patch_type(&field.ty, out);
}

fn write_fields(
    object: &ObjectType,
    write_type: impl Fn(&Field, &mut String),
    body: &mut Body<'_>,
) {
    let mut ty = String::new();
    for field in &object.fields {
        ty.clear();
        write_type(field, &mut ty);
        body.field(field, &[&ty]);
    }
}

fn write_input_type(ty: &FieldType, out: &mut String) {
    match ty {
        FieldType::List(item, items) => {
            out.push('[');
            write_input_type(item, out);
            if *items == Items::Required {
                out.push('!');
            }
            out.push(']');
        }
        FieldType::Object(object) => {
            out.push_str(&object.name);
            out.push_str("Input");
        }
        FieldType::Map { entry } => {
            out.push('[');
            out.push_str(&entry.entry_name);
            out.push_str("Input!]");
        }
        scalar => out.push_str(scalar.scalar_name().unwrap_or_default()),
    }
}

fn write_patch_type(ty: &FieldType, out: &mut String) {
    match ty {
        FieldType::Object(object) => {
            out.push_str(&object.name);
            out.push_str("Patch");
        }
        FieldType::Map { entry } => {
            out.push_str(&entry.name);
            out.push_str("MapPatch");
        }
        other => write_input_type(other, out),
    }
}

/// The types of what `_inc`, `_push`, `_addToSet` and `_pull` take.
fn write_operand_types(name: &str, object: &ObjectType, writer: &mut Writer<'_>) {
    if has_numbers(object) {
        writer.block("", &["input ", name, "Increment"], |body| {
            write_operands(object, "Increment", FieldType::is_number, has_numbers, body);
        });
    }
    if has_lists(object) {
        writer.block("", &["input ", name, "ListItems"], |body| {
            write_operands(object, "ListItems", is_list, has_lists, body);
        });
    }
}

fn write_operands(
    object: &ObjectType,
    suffix: &str,
    is_operand: impl Fn(&FieldType) -> bool,
    has_operands: impl Fn(&ObjectType) -> bool,
    body: &mut Body<'_>,
) {
    let mut ty = String::new();
    for field in &object.fields {
        match &field.ty {
            FieldType::Object(inner) if has_operands(inner) => {
                body.field(field, &[&inner.name, suffix]);
            }
            operand if is_operand(operand) => {
                ty.clear();
                write_input_type(operand, &mut ty);
                body.field(field, &[&ty]);
            }
            _ => {}
        }
    }
}

fn is_list(ty: &FieldType) -> bool {
    matches!(ty, FieldType::List(..))
}

fn has_numbers(object: &ObjectType) -> bool {
    object.fields.iter().any(|field| match &field.ty {
        FieldType::Object(inner) => has_numbers(inner),
        ty => ty.is_number(),
    })
}

fn has_lists(object: &ObjectType) -> bool {
    object.fields.iter().any(|field| match &field.ty {
        FieldType::Object(inner) => has_lists(inner),
        ty => is_list(ty),
    })
}

fn write_field_enum(schema: &CollectionSchema, writer: &mut Writer<'_>) {
    if schema.object.fields.is_empty() {
        return;
    }
    let description = format!(
        "The fields of the documents of `{}`.",
        schema.names.collection
    );
    writer.block(&description, &["enum ", &schema.names.field_enum], |body| {
        for field in &schema.object.fields {
            body.field(field, &[]);
        }
    });
}
