//! Parts of inbound messages, as they are kept.

use super::{Fault, Work};
use crate::assembly::{Kept, Piece};
use crate::event::Event;
use std::collections::BTreeMap;
use swingbridge_domain::id::{AssemblyId, ConversationId};
use swingbridge_domain::inbox::PartOf;
use swingbridge_domain::store::{Assembly, StoreError, seal};

type Loaded<T> = Result<T, StoreError>;

impl Work<'_> {
    /// Adds a part to the message that it belongs to; gives what follows, which is nothing when it was there.
    pub(super) fn assemble(
        &mut self,
        conversation: ConversationId,
        part: PartOf,
        piece: Piece,
    ) -> Result<Option<Event>, Fault> {
        let key = format!("{}/{}/{}", part.reference, part.width, part.total);
        let known = self.tables.assembly_by_key(conversation, &key)?;
        let first = known.is_none();
        let assembly = match &known {
            Some(known) => known.id,
            None => self
                .tables
                .assembly_add(conversation, &key, part.total, self.now)?,
        };
        let sealed = self.seal(seal::PART, &piece)?;
        if self.tables.assembly_part_add(assembly, part.index, &sealed)? {
            return Ok(Some(Event::PartAdded { assembly, first }));
        }
        // The place is taken: by the same part once more, or by one of an older message with the same number.
        let kept = self.kept(assembly)?;
        let same = match kept.get(&part.index) {
            Some(Kept::Piece(known)) => *known == piece,
            Some(Kept::Digest { digest }) => *digest == self.digest(&piece)?,
            None => false,
        };
        Ok((!same).then_some(Event::PartClashes {
            assembly,
            part,
            piece,
        }))
    }

    /// Erases what the parts of a message say, and keeps what tells them from others.
    pub(super) fn complete(&mut self, assembly: AssemblyId) -> Loaded<()> {
        for (index, kept) in self.kept(assembly)? {
            if let Kept::Piece(piece) = kept {
                let digest = self.digest(&piece)?;
                let sealed = self.seal(seal::PART, &Kept::Digest { digest })?;
                self.tables.assembly_part_set(assembly, index, &sealed)?;
            }
        }
        Ok(())
    }

    /// What the parts say; nothing once the message is complete.
    pub(super) fn parts(&mut self, assembly: &Assembly) -> Loaded<BTreeMap<u8, Piece>> {
        let piece = |(index, kept)| match kept {
            Kept::Piece(piece) => Some((index, piece)),
            Kept::Digest { .. } => None,
        };
        Ok(self.kept(assembly.id)?.into_iter().filter_map(piece).collect())
    }

    fn kept(&mut self, assembly: AssemblyId) -> Loaded<BTreeMap<u8, Kept>> {
        let mut kept = BTreeMap::new();
        for part in self.tables.assembly_parts(assembly)? {
            kept.insert(part.index, self.open(seal::PART, &part.sealed)?);
        }
        Ok(kept)
    }

    /// Keyed: nobody can try texts against it.
    fn digest(&self, piece: &Piece) -> Loaded<String> {
        let written = serde_json::to_string(piece)
            .map_err(|_| StoreError::Failed("a value cannot be written".into()))?;
        let digest = self.keys.index("part", &written);
        Ok(data_encoding::HEXLOWER.encode(&digest))
    }
}
