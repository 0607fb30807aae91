//! From text to a validated document.

use std::sync::Arc;

use apollo_compiler::ast::Document;
use apollo_compiler::diagnostic::ToCliReport;
use apollo_compiler::parser::{Parser, SourceMap, SourceSpan};
use apollo_compiler::validation::{DiagnosticList, Valid};
use apollo_compiler::{ExecutableDocument, Schema};
use thalweg_model::ErrorCode;

use crate::failure::{Failure, GraphqlError, Location};
use crate::incremental;
use crate::limits::{Limits, PARSER_DEPTH_MAX};

mod merging;
mod opaque;
mod places;
mod rules;
mod tokens;
mod variables;

/// What is wrong, and where.
type Finding = (String, Option<SourceSpan>);

/// Parses and validates an operation's text against the API schema, within the limits.
pub(crate) fn parse(
    text: &str,
    schema: &Valid<Schema>,
    limits: &Limits,
) -> Result<Arc<Valid<ExecutableDocument>>, Failure> {
    limits.check_text(text)?;
    if text.trim().is_empty() {
        return Err(Failure::new(
            ErrorCode::ParseFailed,
            "the operation's text is empty",
        ));
    }
    let tokens = tokens::read(text);
    let mut parser = Parser::new()
        .recursion_limit(PARSER_DEPTH_MAX)
        .token_limit(limits.tokens_max);
    let syntax = parser
        .parse_ast(&*tokens.text, "operation")
        .map_err(|refused| syntax_failure(&refused.errors, &tokens.text, limits))?;
    let without_colon = tokens.without_colon.into_iter().map(|name| {
        let location = tokens::location(text, name.start);
        let message = format!("expected `:` after the name `{}`", &text[name]);
        GraphqlError::new(ErrorCode::ParseFailed, message).at(location)
    });
    refuse(without_colon, limits)?;
    // The places of what follows are in the text as it was parsed.
    let text = &*tokens.text;
    limits.check_document(&syntax)?;
    let document = validate(&syntax, text, schema, limits)?;
    let mut findings = rules::repeated_fields(&syntax);
    findings.extend(variables::findings(&document, schema));
    findings.extend(merging::conflicting_arguments(&syntax, text, schema));
    let errors = findings.into_iter().map(|(message, span)| {
        let location = locate(span, &syntax.sources);
        GraphqlError::new(ErrorCode::ValidationFailed, message).at(location)
    });
    refuse(errors, limits)?;
    if may_be_incremental(text) {
        refuse(incremental::check(&document), limits)?;
    }
    Ok(Arc::new(document))
}

/// Fails if there are errors, with as many as are shown.
fn refuse(errors: impl IntoIterator<Item = GraphqlError>, limits: &Limits) -> Result<(), Failure> {
    let errors: Vec<GraphqlError> = errors.into_iter().take(limits.errors_max).collect();
    match errors.first().map(|error| error.code) {
        None => Ok(()),
        Some(code) => Err(Failure::from_errors(errors, code)),
    }
}

/// Whether a text can have `@defer` or `@stream`: between the sign and the name there may be anything that is ignored.
pub(crate) fn may_be_incremental(text: &str) -> bool {
    text.contains("defer") || text.contains("stream")
}

fn validate(
    syntax: &Document,
    text: &str,
    schema: &Valid<Schema>,
    limits: &Limits,
) -> Result<Valid<ExecutableDocument>, Failure> {
    match syntax.to_executable_validate(schema) {
        Ok(document) => Ok(document),
        Err(refused) if is_valid_after_all(&refused.errors, &refused.partial, syntax, schema) => {
            Ok(Valid::assume_valid(refused.partial))
        }
        Err(refused) => {
            let errors = collect(&refused.errors, text, ErrorCode::ValidationFailed, limits);
            Err(Failure::from_errors(errors, ErrorCode::ValidationFailed))
        }
    }
}

/// Whether all that the validator has against a document is no error:
///
/// - that a subscription selects its root field more than once, which is one field once the selections are merged;
/// - that `__typename` and the like are of another type than a field of their response name;
/// - that null or a variable stands in a list that stands for a custom scalar.
fn is_valid_after_all(
    errors: &DiagnosticList,
    document: &ExecutableDocument,
    syntax: &Document,
    schema: &Valid<Schema>,
) -> bool {
    let (mut several_root_fields, mut conflicting_types) = (false, false);
    let mut unfit = Vec::new();
    for diagnostic in errors.iter() {
        match diagnostic.error.unstable_error_name() {
            Some(rules::SEVERAL_ROOT_FIELDS) => several_root_fields = true,
            Some(merging::CONFLICTING_TYPE) => conflicting_types = true,
            Some(opaque::UNFIT_VALUE) => unfit.push(diagnostic.error.location()),
            _ => return false,
        }
    }
    let are_opaque = || {
        let opaque = opaque::values(document, schema);
        unfit
            .iter()
            .all(|place| place.is_some_and(|place| opaque.contains(&place)))
    };
    (!several_root_fields || rules::has_single_roots(syntax))
        && (!conflicting_types || merging::types_agree(syntax, schema))
        && (unfit.is_empty() || are_opaque())
}

/// The line and column of a span.
pub(crate) fn locate(span: Option<SourceSpan>, sources: &SourceMap) -> Option<Location> {
    let found = span?.line_column(sources)?;
    Some(Location {
        line: found.line,
        column: found.column,
    })
}

/// Syntax errors, where the parser's own bounds are told apart by their message: it gives no other sign.
fn syntax_failure(diagnostics: &DiagnosticList, text: &str, limits: &Limits) -> Failure {
    for error in collect(diagnostics, text, ErrorCode::LimitExceeded, limits) {
        if error.message.contains("token limit") {
            let message = format!(
                "the operation's text has more than {} tokens, which is the most that is allowed: put data into variables",
                limits.tokens_max
            );
            return GraphqlError { message, ..error }.into();
        }
        if error.message.contains("recursion limit") {
            let message = format!(
                "the operation's text nests deeper than {PARSER_DEPTH_MAX} levels; selections may nest {} deep",
                limits.depth_max
            );
            return GraphqlError { message, ..error }.into();
        }
    }
    let errors = collect(diagnostics, text, ErrorCode::ParseFailed, limits);
    Failure::from_errors(errors, ErrorCode::ParseFailed)
}

fn collect(
    diagnostics: &DiagnosticList,
    text: &str,
    code: ErrorCode,
    limits: &Limits,
) -> Vec<GraphqlError> {
    let mut errors: Vec<GraphqlError> = Vec::new();
    for diagnostic in diagnostics.iter() {
        let mut message = diagnostic.error.to_string();
        if message == MISSING_SELECTION {
            let span = diagnostic.error.location();
            let field = span.and_then(|span| text.get(span.offset()..span.end_offset()));
            let Some(explained) = missing_selection(field.unwrap_or_default()) else {
                continue;
            };
            message = explained;
        }
        let location = locate(diagnostic.error.location(), diagnostic.sources);
        let error = GraphqlError::new(code, message).at(location);
        if errors.last() != Some(&error) {
            errors.push(error);
        }
    }
    let hidden = errors.len().saturating_sub(limits.errors_max);
    if hidden > 0 {
        errors.truncate(limits.errors_max);
        errors.push(GraphqlError::new(
            code,
            format!("{hidden} more errors are not shown"),
        ));
    }
    errors
}

/// What the validator says of a field that lacks a selection, without saying which field.
const MISSING_SELECTION: &str = "interface, union and object types must have a subselection set";

/// The same, said of the field. `None` where the field's text does have a selection: then all of it was in error,
/// and those errors are told already.
fn missing_selection(field: &str) -> Option<String> {
    if field.trim_end().ends_with('}') {
        return None;
    }
    let name = field.split_once('(').map_or(field, |(name, _)| name).trim();
    let name = name.rsplit(':').next().unwrap_or(name).trim();
    Some(format!(
        "the field `{name}` holds objects, so it needs a selection: `{name} {{ … }}`"
    ))
}

#[cfg(test)]
mod tests;
