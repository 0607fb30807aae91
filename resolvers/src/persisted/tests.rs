use super::*;

const TEXT: &str = "{ movies { nodes { id } } }";

fn texts(persisted_bytes_max: usize) -> PersistedTexts {
    PersistedTexts::new(&Limits {
        persisted_bytes_max,
        ..Limits::default()
    })
}

fn request(query: Option<&str>, extensions: &str, document_id: Option<&str>) -> Request {
    Request {
        query: query.map(str::to_owned),
        extensions: Request::object_from_json("extensions", extensions.as_bytes()).unwrap(),
        document_id: document_id.map(str::to_owned),
        ..Request::default()
    }
}

fn persisted(hash: &str) -> String {
    format!(r#"{{"persistedQuery":{{"version":1,"sha256Hash":"{hash}"}}}}"#)
}

/// What becomes of a request, whose text proves valid.
fn taken(texts: &PersistedTexts, request: &Request) -> Result<String, (ErrorCode, String)> {
    match texts.text(request) {
        Ok(text) => {
            texts.register(&text, &Arc::from(text.as_str()));
            Ok(text.as_str().to_owned())
        }
        Err(failure) => Err((failure.code(), failure.to_string())),
    }
}

#[test]
fn a_text_that_was_sent_with_its_hash_is_known_by_it() {
    let texts = texts(1 << 20);
    let hash = text_hash(TEXT);
    let named = request(None, &persisted(&hash), None);
    let refused = taken(&texts, &named).unwrap_err();
    assert_eq!(
        refused,
        (
            ErrorCode::PersistedQueryNotFound,
            "PersistedQueryNotFound".to_owned()
        )
    );
    let whole = request(Some(TEXT), &persisted(&hash), None);
    assert_eq!(taken(&texts, &whole).as_deref(), Ok(TEXT));
    assert_eq!(taken(&texts, &named).as_deref(), Ok(TEXT));
    assert_eq!(taken(&texts, &whole).as_deref(), Ok(TEXT));
    let upper = request(None, &persisted(&hash.to_uppercase()), None);
    assert_eq!(taken(&texts, &upper).as_deref(), Ok(TEXT));
    for id in [hash.clone(), format!("sha256:{hash}")] {
        let by_id = request(None, "null", Some(&id));
        assert_eq!(taken(&texts, &by_id).as_deref(), Ok(TEXT));
    }
}

#[test]
fn a_hash_of_another_text_registers_nothing() {
    let texts = texts(1 << 20);
    let hash = text_hash(TEXT);
    let wrong = request(Some("{ a }"), &persisted(&hash), None);
    assert_eq!(taken(&texts, &wrong).unwrap_err().0, ErrorCode::BadRequest);
    let named = request(None, &persisted(&hash), None);
    assert_eq!(
        taken(&texts, &named).unwrap_err().0,
        ErrorCode::PersistedQueryNotFound
    );
    // Nor may a known hash let another text in.
    taken(&texts, &request(Some(TEXT), &persisted(&hash), None)).unwrap();
    assert_eq!(taken(&texts, &wrong).unwrap_err().0, ErrorCode::BadRequest);
}

#[test]
fn what_is_remembered_is_bounded() {
    let texts = texts(1_000);
    let named: Vec<(String, String)> = (0..100)
        .map(|number| format!("{{ field{number:03} }}"))
        .map(|text| (text_hash(&text), text))
        .collect();
    for (hash, text) in &named {
        taken(&texts, &request(Some(text), &persisted(hash), None)).unwrap();
    }
    let known = named
        .iter()
        .filter(|(hash, _)| taken(&texts, &request(None, &persisted(hash), None)).is_ok());
    let bytes: usize = known.map(|(_, text)| text.len() + ENTRY_BYTES).sum();
    assert!((500..=2_000).contains(&bytes), "{bytes}");
}

#[test]
fn malformed_names_are_told() {
    let texts = texts(1 << 20);
    for (extensions, expected) in [
        (
            r#"{"persistedQuery":{"version":2,"sha256Hash":"00"}}"#,
            "version other than 1",
        ),
        (
            r#"{"persistedQuery":{"sha256Hash":"00"}}"#,
            "version other than 1",
        ),
        (r#"{"persistedQuery":{"version":1}}"#, "no sha256Hash"),
        (
            r#"{"persistedQuery":{"version":1,"sha256Hash":7}}"#,
            "no sha256Hash",
        ),
        (r#"{"persistedQuery":true}"#, "version other than 1"),
        ("{}", "has no \"query\""),
        (r#"{"persistedQuery":null}"#, "has no \"query\""),
    ] {
        let (code, message) = taken(&texts, &request(None, extensions, None)).unwrap_err();
        assert_eq!(code, ErrorCode::BadRequest, "{extensions}");
        assert!(message.contains(expected), "{extensions}: {message}");
    }
    // Not a hash, so nothing can have been registered by it.
    for hash in ["", "00", &"g".repeat(64), &"é".repeat(32)] {
        let (code, _) = taken(&texts, &request(None, &persisted(hash), None)).unwrap_err();
        assert_eq!(code, ErrorCode::PersistedQueryNotFound, "{hash}");
    }
}

#[test]
fn without_memory_for_them_persisted_queries_are_not_supported() {
    let texts = texts(0);
    let hash = text_hash(TEXT);
    let named = request(None, &persisted(&hash), None);
    assert_eq!(
        taken(&texts, &named).unwrap_err().0,
        ErrorCode::PersistedQueryNotSupported
    );
    let whole = request(Some(TEXT), &persisted(&hash), None);
    assert_eq!(taken(&texts, &whole).as_deref(), Ok(TEXT));
    assert!(taken(&texts, &named).is_err());
}

#[test]
fn only_listed_documents_are_run() {
    let texts = texts(1 << 20);
    let open = text_hash("{ open }");
    taken(&texts, &request(Some("{ open }"), &persisted(&open), None)).unwrap();
    let mut trusted = TrustedDocuments::default();
    assert!(trusted.insert("films", TEXT) && trusted.insert(&text_hash(TEXT), TEXT));
    assert!(trusted.insert("films", TEXT), "the same again");
    assert!(!trusted.insert("films", "{ other }"), "another text");
    assert_eq!(trusted.len(), 2);
    *texts.trusted.write() = Some(Arc::new(trusted));

    let hash = text_hash(TEXT);
    for listed in [
        request(None, "null", Some("films")),
        request(None, "null", Some(&hash)),
        request(None, "null", Some(&format!("sha256:{hash}"))),
        request(None, &persisted("films"), None),
        request(None, &persisted(&hash), None),
        request(Some(TEXT), "null", None),
        request(Some(TEXT), "null", Some("films")),
        request(Some(TEXT), &persisted(&hash), None),
    ] {
        assert_eq!(taken(&texts, &listed).as_deref(), Ok(TEXT));
    }
    let other = text_hash("{ other }");
    for (refused, code) in [
        (
            request(Some("{ other }"), "null", None),
            ErrorCode::Forbidden,
        ),
        (
            request(Some("{ other }"), &persisted(&other), None),
            ErrorCode::Forbidden,
        ),
        (
            request(Some("{ other }"), "null", Some("films")),
            ErrorCode::BadRequest,
        ),
        (
            request(None, "null", Some("none")),
            ErrorCode::PersistedQueryNotFound,
        ),
        // What was registered before the list came is not on it.
        (
            request(None, &persisted(&open), None),
            ErrorCode::PersistedQueryNotFound,
        ),
        (request(None, "null", None), ErrorCode::BadRequest),
    ] {
        assert_eq!(taken(&texts, &refused).unwrap_err().0, code, "{refused:?}");
    }
    *texts.trusted.write() = None;
    assert!(taken(&texts, &request(Some("{ other }"), "null", None)).is_ok());
}
