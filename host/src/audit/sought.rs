//! Finding the record of a call by its id, which says when the call began (UUIDv7): the record was
//! written then, or as much later as a call may take.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader};
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use memchr::memmem::Finder;
use serde::Deserialize;
use serde_json::Value;
use uuid::{Uuid, Version};

use super::layout::{IN_FILE, path};
use super::line::{ERASED_BYTES, Line, is_erased};
use crate::receipt::ends_a_call;

/// How long a call may have waited before it ran, and clocks may disagree.
const SLACK: Duration = Duration::from_secs(10 * 60);

/// A call whose record is looked for.
pub(super) struct Sought {
    id: String,
    /// As a record has it. In the text of a value, the quotes would be escaped.
    needle: Finder<'static>,
    began: Timestamp,
    /// No record of it is later.
    latest: Timestamp,
}

/// The record of a call.
pub(super) struct Found {
    pub(super) index: u64,
    pub(super) line: String,
    pub(super) record: Value,
}

/// Of a record, when it was written.
#[derive(Deserialize)]
struct Dated {
    time: Timestamp,
}

impl Sought {
    /// None where no call has such an id, or none yet. No call takes longer than `longest`.
    pub(super) fn new(id: Uuid, longest: Duration) -> Option<Self> {
        if id.get_version() != Some(Version::SortRand) {
            return None;
        }
        let (seconds, nanos) = id.get_timestamp()?.to_unix();
        let seconds = i64::try_from(seconds).ok()?;
        let began = Timestamp::new(seconds, i32::try_from(nanos).ok()?).ok()?;
        let latest =
            |from: Timestamp, wait: Duration| from.checked_add(wait).unwrap_or(Timestamp::MAX);
        if began > latest(Timestamp::now(), SLACK) {
            return None;
        }
        let id = id.hyphenated().to_string();
        Some(Self {
            needle: Finder::new(&format!("\"invocation\":\"{id}\"")).into_owned(),
            id,
            began,
            latest: latest(began, longest.saturating_add(SLACK)),
        })
    }

    /// Looks through the files that can have it, of a log of this size.
    pub(super) fn find(&self, records: &Path, size: u64) -> io::Result<Option<Found>> {
        let files = size.div_ceil(IN_FILE);
        // Records that came at the same time stand in any order, across two files too.
        let first = self.begun(records, files)?.saturating_sub(2);
        for file in first..files {
            let begins = begins(records, file)?;
            if begins.is_some_and(|begins| begins > self.latest) {
                break;
            }
            let found = self.in_file(records, file, size)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// How many of the files begin before the call did, or then.
    fn begun(&self, records: &Path, files: u64) -> io::Result<u64> {
        let (mut low, mut high) = (0, files);
        while low < high {
            let middle = low + (high - low) / 2;
            let mut dated = None;
            // One that is erased says nothing: the next does.
            for file in middle..high {
                if let Some(begins) = begins(records, file)? {
                    dated = Some((file, begins));
                    break;
                }
            }
            match dated {
                Some((file, begins)) if begins <= self.began => low = file + 1,
                _ => high = middle,
            }
        }
        Ok(low)
    }

    fn in_file(&self, records: &Path, file: u64, size: u64) -> io::Result<Option<Found>> {
        let first = file * IN_FILE;
        let mut lines = BufReader::new(File::open(path(records, first))?);
        let mut line = Vec::new();
        for index in first..size.min(first + IN_FILE) {
            line.clear();
            lines.read_until(b'\n', &mut line)?;
            if self.needle.find(&line).is_some()
                && let Some(found) = self.read(index, line.trim_ascii_end())
            {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The record in a line, where it is the one.
    fn read(&self, index: u64, line: &[u8]) -> Option<Found> {
        let line = std::str::from_utf8(line).ok()?;
        let record = Line::<Value>::read(line.as_bytes())?.record;
        let is_it = record["invocation"] == self.id.as_str() && ends_a_call(&record);
        is_it.then(|| Found {
            index,
            line: line.to_owned(),
            record,
        })
    }
}

/// The time of the first line in a file that is not erased; none where all are.
fn begins(records: &Path, file: u64) -> io::Result<Option<Timestamp>> {
    let path = path(records, file * IN_FILE);
    // Without reading it: of old records there can be thousands of such files.
    if fs::metadata(&path)?.len() == IN_FILE * ERASED_BYTES {
        return Ok(None);
    }
    for line in BufReader::new(File::open(path)?).split(b'\n') {
        let line = line?;
        if is_erased(&line) {
            continue;
        }
        if let Some(line) = Line::<Dated>::read(&line) {
            return Ok(Some(line.record.time));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tempfile::TempDir;
    use uuid::{NoContext, Timestamp as UuidTime};

    use super::super::line::erase;
    use super::super::store::Store;
    use super::*;

    /// When the first record was written; there is one a second.
    const START: u64 = 1_700_000_000;
    const LONGEST: Duration = Duration::from_secs(30);

    fn id(second: u64) -> Uuid {
        Uuid::new_v7(UuidTime::from_unix(NoContext, START + second, 0))
    }

    fn line(kind: &str, second: u64, id: Uuid) -> Vec<u8> {
        let time = Timestamp::from_second(i64::try_from(START + second).unwrap()).unwrap();
        let record = json!({"time": time, "kind": kind, "invocation": id});
        let line = json!({"salt": "", "record": record});
        line.to_string().into_bytes()
    }

    /// A log of calls, one a second, and the calls' ids.
    fn log(calls: u64) -> (TempDir, Store, Vec<Uuid>) {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path()).unwrap();
        let ids: Vec<Uuid> = (0..calls).map(id).collect();
        let lines = (0..)
            .zip(&ids)
            .map(|(second, id)| line("call", second, *id));
        store.append(&lines.collect()).unwrap();
        (folder, store, ids)
    }

    fn index(folder: &TempDir, store: &Store, id: Uuid) -> Option<u64> {
        let sought = Sought::new(id, LONGEST)?;
        let found = sought.find(folder.path(), store.size()).unwrap()?;
        assert_eq!(found.record["invocation"], json!(id));
        Some(found.index)
    }

    #[test]
    fn a_call_is_found_in_whichever_file_it_is() {
        let (folder, mut store, ids) = log(3 * IN_FILE + 10);
        let some = [0, 1, IN_FILE - 1, IN_FILE, 2 * IN_FILE + 7, 3 * IN_FILE + 9];
        for at in some {
            let id = ids[usize::try_from(at).unwrap()];
            assert_eq!(index(&folder, &store, id), Some(at));
        }
        // Nobody's, of any time.
        for second in [0, 5000, 3 * IN_FILE + 10] {
            assert_eq!(index(&folder, &store, id(second)), None);
        }
        assert_eq!(index(&folder, &store, Uuid::nil()), None);
        assert!(Sought::new(id(1 << 33), LONGEST).is_none());

        // Where the first two files are erased, what follows is found all the same.
        let end = line("call", 2 * IN_FILE, Uuid::nil());
        let old = |line: &[u8]| {
            let time = |line: &[u8]| Line::<Dated>::read(line).unwrap().record.time;
            (time(line) < time(&end)).then(|| erase(line))
        };
        assert_eq!(store.rewrite(old).unwrap(), 2 * IN_FILE);
        assert_eq!(index(&folder, &store, ids[1]), None);
        for at in &some[4..] {
            let id = ids[usize::try_from(*at).unwrap()];
            assert_eq!(index(&folder, &store, id), Some(*at));
        }
    }

    #[test]
    fn an_intent_is_no_record_of_a_call_and_neither_is_what_a_guest_says() {
        let (folder, mut store, _) = log(3);
        let (call, refused) = (id(3), id(4));
        let mut quoting: Value = serde_json::from_slice(&line("call", 5, id(5))).unwrap();
        quoting["record"]["input"] = json!({"invocation": call, "kind": "call"});
        let lines = [
            line("intent", 3, call),
            quoting.to_string().into_bytes(),
            line("refusal", 6, refused),
        ];
        store.append(&lines.iter().collect()).unwrap();
        assert_eq!(index(&folder, &store, call), None);
        assert_eq!(index(&folder, &store, refused), Some(5));
        // It took as long as it may.
        let late = 3 + LONGEST.as_secs() + SLACK.as_secs();
        let lines = [line("call", late, call)];
        store.append(&lines.iter().collect()).unwrap();
        assert_eq!(index(&folder, &store, call), Some(6));
    }
}
