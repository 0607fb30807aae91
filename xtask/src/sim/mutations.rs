//! The bugs that are planted: each is an exact text in a file, or two, and what stands there instead.
//!
//! The texts have to be found exactly once, which a test checks, so whoever changes such a line mends this table.

/// A bug to plant.
pub(super) struct Mutation {
    pub(super) name: &'static str,
    /// What a client comes to see.
    pub(super) shows_as: &'static str,
    pub(super) edits: &'static [Edit],
}

/// A change of one file.
pub(super) struct Edit {
    /// From the root of the repository.
    pub(super) file: &'static str,
    pub(super) text: &'static str,
    pub(super) instead: &'static str,
}

pub(super) const MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "skip-range-validation",
        shows_as: "a phantom: write skew over a page that was read",
        edits: &[Edit {
            file: "engine/src/dependency.rs",
            text: "Scope::Range(range) => range.sight(change).shows(&self.mask),",
            instead: "Scope::Range(_) => false,",
        }],
    },
    Mutation {
        name: "skip-point-validation",
        shows_as: "a lost update",
        edits: &[Edit {
            file: "engine/src/dependency.rs",
            text: "*id == change.id\n",
            instead: "false && *id == change.id\n",
        }],
    },
    Mutation {
        name: "range-validation-ignores-fields",
        shows_as: "a sum of values that have changed since",
        edits: &[Edit {
            file: "engine/src/dependency.rs",
            text: "Sight::Fields(before, after) => mask.tells_apart(before, after),",
            instead: "Sight::Fields(..) => false,",
        }],
    },
    Mutation {
        name: "truncation-touches-nothing",
        shows_as: "a read of documents that are no longer there",
        edits: &[Edit {
            file: "engine/src/dependency.rs",
            text: "commit.emptied.contains(&read.collection)",
            instead: "false",
        }],
    },
    Mutation {
        name: "validate-without-the-group",
        shows_as: "a lost update within one batch",
        edits: &[Edit {
            file: "engine/src/committer.rs",
            text: ".chain(&group.commits)",
            instead: ".chain(&group.commits[..0])",
        }],
    },
    Mutation {
        name: "validate-without-the-flight",
        shows_as: "a lost update between a batch that is being written and the next",
        edits: &[Edit {
            file: "engine/src/committer.rs",
            text: ".filter(|commit| commit.ts > *read_ts)",
            instead: ".filter(|commit| commit.ts > *read_ts && commit.changes.len() > 1_000_000)",
        }],
    },
    Mutation {
        name: "validate-without-durable-commits",
        shows_as: "a lost update",
        edits: &[Edit {
            file: "engine/src/committer.rs",
            text: "Some(mut since) => !since.any(|commit| dependencies.touched_by(commit)),",
            instead: "Some(_) => true,",
        }],
    },
    Mutation {
        name: "believe-snapshots-that-are-too-old",
        shows_as: "a lost update after the recent commits have been forgotten",
        edits: &[Edit {
            file: "engine/src/committer.rs",
            text: "            None => false,\n        }\n    }\n\n    /// Closes the open group",
            instead: "            None => true,\n        }\n    }\n\n    /// Closes the open group",
        }],
    },
    Mutation {
        name: "acknowledge-whatever-the-store-says",
        shows_as: "acknowledged transactions that are not there",
        edits: &[Edit {
            file: "engine/src/writer.rs",
            text: "Some(batch) => self.commit(&batch, commits, announced.as_ref()),",
            instead: "Some(batch) => {\n                let _ = self.commit(&batch, commits, announced.as_ref());\n                Ok(())\n            }",
        }],
    },
    Mutation {
        name: "refuse-before-it-is-durable",
        shows_as: "a refusal for a reason that never came to be",
        edits: &[Edit {
            file: "engine/src/committer.rs",
            text: "        open.waiting.push(Member {\n",
            instead: "        if let Answer::Refused(error) = answer {\n            crate::committer::answer(reply, Err(error));\n            self.open = Some(open);\n            return;\n        }\n        open.waiting.push(Member {\n",
        }],
    },
    Mutation {
        name: "keep-what-was-built-on-a-lost-batch",
        shows_as: "writes that follow from ones that were lost",
        edits: &[
            Edit {
                file: "engine/src/committer.rs",
                text: "        if let Some(open) = self.open.take() {\n            self.run_again(open);\n        }\n",
                instead: "",
            },
            Edit {
                file: "engine/src/committer.rs",
                text: "(Written::NotCommitted, Some(flight)) => self.lost = Some(flight.before),",
                instead: "(Written::NotCommitted, Some(flight)) => drop(self.reload(flight.before)),",
            },
        ],
    },
    Mutation {
        name: "keep-the-counts-of-a-lost-batch",
        shows_as: "a number of documents that is wrong",
        edits: &[Edit {
            file: "engine/src/committer.rs",
            text: "            ..load(&*reader)?\n",
            instead: "            ..State {\n                catalog: Arc::clone(&self.state.catalog),\n                names: load(&*reader)?.names,\n                statistics: std::mem::take(&mut self.state.statistics),\n                next_collection: self.state.next_collection,\n                index_statistics: Arc::clone(&self.state.index_statistics),\n                next_index: self.state.next_index,\n            }\n",
        }],
    },
    Mutation {
        name: "one-timestamp-for-two",
        shows_as: "two commits in one place of the order",
        edits: &[Edit {
            file: "engine/src/clock.rs",
            text: "CommitTs::from_micros(clock.now_micros()).max(head.next())",
            instead: "CommitTs::from_micros(clock.now_micros()).max(head)",
        }],
    },
    Mutation {
        name: "forget-the-time-when-taking-over",
        shows_as: "timestamps that go back after a restart",
        edits: &[Edit {
            file: "engine/src/takeover.rs",
            text: "            batch: head.batch + 1,\n            ..head\n",
            instead: "            batch: head.batch + 1,\n            commit_ts: CommitTs::ZERO,\n",
        }],
    },
    Mutation {
        name: "write-without-the-fence",
        shows_as: "a deposed engine that still writes",
        edits: &[
            Edit {
                file: "storage/src/memory.rs",
                text: "if state.head != batch.expected {",
                instead: "if state.head != batch.expected && batch.writes.is_empty() {",
            },
            Edit {
                file: "engine/src/committer.rs",
                text: "if head != Some(self.head) && head != flight.map(|flight| flight.before) {",
                instead: "if head.is_none() && flight.map(|flight| flight.before).is_none() {",
            },
        ],
    },
    Mutation {
        name: "lose-the-first-of-two-in-a-group",
        shows_as: "two patches in one batch of which only one survives",
        edits: &[Edit {
            file: "engine/src/group.rs",
            text: ".put(change.collection, change.id.clone(), change.after.clone());",
            instead: ".put(change.collection, change.id.clone(), change.before.clone());",
        }],
    },
    Mutation {
        name: "apply-to-the-durable-image",
        shows_as: "increments that are lost while a batch is being written",
        edits: &[Edit {
            file: "engine/src/snapshot.rs",
            text: "Overlaid::Known(image) => Ok(image.cloned()),",
            instead: "Overlaid::Known(_) => {\n                let record = read_document(&*self.reader, key.0, key.1.as_str())?;\n                Ok(record.map(|record| Arc::new(record.into_owned())))\n            }",
        }],
    },
    Mutation {
        name: "restrictions-are-not-checked",
        shows_as: "a document that is gone though another one that restricts names it",
        edits: &[Edit {
            file: "engine/src/draft/policies.rs",
            text: "        for restriction in restrictions {\n            self.check(&restriction)?;\n        }\n",
            instead: "        drop(restrictions);\n",
        }],
    },
    Mutation {
        name: "policies-look-at-what-is-durable",
        shows_as: "a document that was made in the same transaction and does not go with what it names",
        edits: &[Edit {
            file: "engine/src/draft/policies.rs",
            text: "        let own = Some(&self.drafted.own);\n",
            instead: "        let own = None;\n",
        }],
    },
    Mutation {
        name: "soft-deletions-do-not-cascade",
        shows_as: "a document that stays when what it goes with is softly deleted",
        edits: &[Edit {
            file: "engine/src/draft/policies.rs",
            text: "let stays = after.as_deref().filter(|after| !after.is_deleted());",
            instead: "let stays = after.as_deref();",
        }],
    },
    Mutation {
        name: "own-writes-do-not-show",
        shows_as: "a transaction that reads what was there before it wrote",
        edits: &[Edit {
            file: "engine/src/transaction.rs",
            text: "if written == self.own.as_ref().map_or(0, |own| own.applied) {",
            instead: "if written < usize::MAX {",
        }],
    },
    Mutation {
        name: "own-writes-depend-on-nothing",
        shows_as: "an increment that is read, and written on, while another one is committed",
        edits: &[Edit {
            file: "engine/src/transaction.rs",
            text: "if self.depended.insert(target.clone()) {",
            instead: "if !self.depended.insert(target.clone()) {",
        }],
    },
    Mutation {
        name: "write-a-batch-backwards",
        shows_as: "an older image of a document over a newer one",
        edits: &[Edit {
            file: "engine/src/committer.rs",
            text: "            head: self.head,\n            writes,\n",
            instead: "            head: self.head,\n            writes: writes.into_iter().rev().collect(),\n",
        }],
    },
    Mutation {
        name: "leave-a-document-out-of-a-batch",
        shows_as: "transactions that are there in part",
        edits: &[Edit {
            file: "engine/src/log.rs",
            text: "    for change in &commit.changes {\n        write_change(",
            instead: "    for change in commit.changes.iter().skip(usize::from(commit.changes.len() == 3)) {\n        write_change(",
        }],
    },
    Mutation {
        name: "last-row-is-not-in-the-range",
        shows_as: "a page whose last row has changed since",
        edits: &[Edit {
            file: "engine/src/find.rs",
            text: "read(after, Bound::Included(last), &find.read);",
            instead: "read(after, Bound::Excluded(last), &find.read);",
        }],
    },
    Mutation {
        name: "show-what-is-deleted",
        shows_as: "softly deleted documents in a page",
        edits: &[Edit {
            file: "engine/src/find.rs",
            text: "Deleted::Exclude => !record.is_deleted(),",
            instead: "Deleted::Exclude => record.is_deleted() || !record.is_deleted(),",
        }],
    },
    Mutation {
        name: "restore-what-is-there",
        shows_as: "restoring that does nothing, or something",
        edits: &[Edit {
            file: "engine/src/draft/timed.rs",
            text: "None if current.is_deleted() => Arc::clone(current),",
            instead: "None if !current.is_deleted() => Arc::clone(current),",
        }],
    },
    Mutation {
        name: "any-version-will-do",
        shows_as: "a conditional write to another version",
        edits: &[Edit {
            file: "engine/src/draft.rs",
            text: "Some(expected) if found != Some(expected) =>",
            instead: "Some(expected) if found.is_some() && found < Some(expected) =>",
        }],
    },
    Mutation {
        name: "answer-only-what-is-durable",
        shows_as: "a request that is sent twice at once and happens twice",
        edits: &[Edit {
            file: "engine/src/committer.rs",
            text: "if let Some(first) = group.base.overlay.answer(key) {",
            instead: "if let Some(first) = group.base.overlay.answer(key).filter(|_| key.is_empty()) {",
        }],
    },
    Mutation {
        name: "first-answers-are-not-stored",
        shows_as: "a request that is sent again after a crash and happens twice",
        edits: &[Edit {
            file: "engine/src/committer.rs",
            text: "            first.put(key, &mut writes);\n",
            instead: "            let _ = (key, first);\n",
        }],
    },
    Mutation {
        name: "publish-before-it-is-durable",
        shows_as: "a live query that shows what a crash takes away",
        edits: &[Edit {
            file: "engine/src/writer.rs",
            text: "        let error = match self.backend.commit(batch) {\n",
            instead: "        self.published.publish(commits.clone());\n        let commits = Vec::new();\n        let error = match self.backend.commit(batch) {\n",
        }],
    },
    Mutation {
        name: "catalog-changes-within-a-group-do-not-count",
        shows_as: "a read of a collection that is dropped, or comes to be, in the same batch",
        edits: &[Edit {
            file: "engine/src/committer.rs",
            text: "if dependencies.depends_on_catalog() && group.changes_catalog(&self.state) {",
            instead: "if dependencies.depends_on_catalog() && group.commits.len() > 1_000_000 {",
        }],
    },
    Mutation {
        name: "snapshot-of-another-time",
        shows_as: "a read at a timestamp whose commit it does not show",
        edits: &[Edit {
            file: "engine/src/engine.rs",
            text: "let reader = self.shared.backend.snapshot()?;\n            let ts = reader.head().map_or(CommitTs::ZERO, |head| head.commit_ts);",
            instead: "let reader = self.shared.backend.snapshot()?;\n            let ts = reader.head().map_or(CommitTs::ZERO, |head| head.commit_ts.next());",
        }],
    },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::workspace;

    use super::*;

    #[test]
    fn every_text_is_found_exactly_once() {
        for Mutation { name, edits, .. } in MUTATIONS {
            for edit in *edits {
                let path = workspace::root().join(edit.file);
                let source = std::fs::read_to_string(path).expect(edit.file);
                assert_eq!(
                    source.matches(edit.text).count(),
                    1,
                    "{name}: the text must be in {} once; mend this table with the code",
                    edit.file
                );
                assert_ne!(edit.text, edit.instead, "{name}");
            }
        }
    }

    #[test]
    fn names_are_told_apart() {
        let names: BTreeSet<&str> = MUTATIONS.iter().map(|mutation| mutation.name).collect();
        assert_eq!(names.len(), MUTATIONS.len());
        assert!(names.len() >= 10);
    }
}
