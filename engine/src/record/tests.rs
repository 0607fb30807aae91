use proptest::prelude::*;

use super::*;

fn fields() -> impl Strategy<Value = SystemFields> {
    let time = || proptest::option::of(any::<u64>());
    let on_expire = prop_oneof![Just(OnExpire::Soft), Just(OnExpire::Permanent)];
    let cause = prop_oneof![Just(Cause::Restored), Just(Cause::Expired)];
    (
        (".{1,32}", any::<u64>(), any::<u64>(), any::<u64>()),
        (time(), time(), time()),
        (
            proptest::option::of(on_expire),
            proptest::option::of(cause),
            proptest::option::of(".{0,60}"),
        ),
    )
        .prop_map(
            |((id, commit_ts, created_at, version), (deleted_at, expires_at, purge_at), rest)| {
                SystemFields {
                    id: DocumentId::new(&id).unwrap(),
                    commit_ts: CommitTs::from_micros(commit_ts),
                    created_at,
                    version,
                    deleted_at,
                    expires_at,
                    purge_at,
                    on_expire: rest.0,
                    cause: rest.1,
                    author: rest.2.map(Arc::from),
                }
            },
        )
}

proptest! {
    #[test]
    fn what_is_stored_is_read_back(fields in fields()) {
        let document = Document::parse(b"{\"a\":[1,2]}").unwrap();
        let stored = Record::new(&fields, &document);
        let record = Record::from_stored(Cow::Borrowed(stored.stored())).unwrap();
        prop_assert_eq!(record.system_fields().unwrap(), fields);
        prop_assert_eq!(record.document().json(), document.json());
    }

    /// Bytes that are not a record are told, or every accessor finds its part.
    #[test]
    fn no_bytes_make_it_panic(fields in fields(), at in 0..40usize, byte in any::<u8>(), cut in 0..120usize) {
        let document = Document::parse(b"{}").unwrap();
        let mut bytes = Record::new(&fields, &document).stored().to_vec();
        let length = bytes.len();
        bytes[at % length] = byte;
        bytes.truncate(cut.max(1).min(length));
        if let Ok(record) = Record::from_stored(Cow::Owned(bytes)) {
            let _ = (record.system_fields(), record.revision_kind(), record.document().json());
        }
    }
}
