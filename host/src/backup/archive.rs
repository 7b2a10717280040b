//! The archive as it is written: a tar file whose last entry says what the others are.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};

use anyhow::ensure;
use tar::{Builder, EntryType, EntryWriter, Header};

use super::contents::{About, CONTENTS, Contents};
use super::measured::Measured;
use super::stop::Stop;

pub(super) struct Archive {
    builder: Builder<BufWriter<File>>,
    header: Header,
    files: BTreeMap<String, About>,
    stop: Stop,
}

/// One file of it, until it [ends](Entry::end).
pub(super) struct Entry<'a> {
    name: String,
    to: Measured<EntryWriter<'a>>,
    files: &'a mut BTreeMap<String, About>,
}

impl Archive {
    pub(super) fn new(file: File, stop: Stop) -> Self {
        Self {
            builder: Builder::new(BufWriter::new(file)),
            header: Header::new_gnu(),
            files: BTreeMap::new(),
            stop,
        }
    }

    /// What has ended so far.
    pub(super) fn files(&self) -> &BTreeMap<String, About> {
        &self.files
    }

    /// A file whose length nobody knows yet. Fails where nothing is to be written any more.
    pub(super) fn begin(&mut self, name: &str) -> io::Result<Entry<'_>> {
        self.stop.check().map_err(io::Error::other)?;
        self.header = Header::new_gnu();
        self.header.set_entry_type(EntryType::Regular);
        self.header.set_mode(0o600);
        let writer = self.builder.append_writer(&mut self.header, name)?;
        Ok(Entry {
            name: name.to_owned(),
            to: Measured::new(writer),
            files: &mut self.files,
        })
    }

    /// The first bytes of something that may go on growing.
    pub(super) fn copy(
        &mut self,
        name: &str,
        from: impl Read,
        bytes: u64,
    ) -> anyhow::Result<About> {
        let mut entry = self.begin(name)?;
        let copied = io::copy(&mut from.take(bytes), &mut entry)?;
        ensure!(copied == bytes, "{name} became shorter while it was read");
        Ok(entry.end()?)
    }

    /// Ends it with what it has. Gives its length, once it is on disk.
    pub(super) fn finish(mut self, contents: &Contents) -> anyhow::Result<u64> {
        let mut entry = self.begin(CONTENTS)?;
        serde_json::to_writer_pretty(&mut entry, contents)?;
        entry.end()?;
        let file = self.builder.into_inner()?.into_inner();
        let file = file.map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        Ok(file.metadata()?.len())
    }
}

impl Entry<'_> {
    pub(super) fn end(self) -> io::Result<About> {
        let (writer, about) = self.to.end();
        writer.finish()?;
        self.files.insert(self.name, about.clone());
        Ok(about)
    }
}

impl Write for Entry<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.to.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
