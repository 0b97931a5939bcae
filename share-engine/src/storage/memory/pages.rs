//! File contents in pages that copies share until one of them writes; a page of zeros takes no memory.

use std::sync::Arc;

/// The bytes of one file.
#[derive(Clone, Debug, Default)]
pub(super) struct Pages {
    pages: Vec<Option<Arc<Page>>>,
    len: u64,
}

impl Pages {
    pub(super) const fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn set_len(&mut self, len: u64) {
        if len < self.len {
            // What lies behind a cut must read as zeros when the file grows again.
            let end = len.next_multiple_of(PAGE as u64).min(self.len);
            self.write(&vec![0; to_index(end - len)], len);
        }
        self.len = len;
        self.pages.resize(to_index(len.div_ceil(PAGE as u64)), None);
    }

    /// `false` if the file ends before.
    pub(super) fn read(&self, buf: &mut [u8], position: u64) -> bool {
        if position.checked_add(buf.len() as u64).is_none_or(|end| end > self.len) {
            return false;
        }
        let mut at = to_index(position);
        let mut rest = buf;
        while !rest.is_empty() {
            let within = at % PAGE;
            let (piece, behind) = rest.split_at_mut((PAGE - within).min(rest.len()));
            match self.pages.get(at / PAGE) {
                Some(Some(page)) => piece.copy_from_slice(&page[within..within + piece.len()]),
                _ => piece.fill(0),
            }
            at += piece.len();
            rest = behind;
        }
        true
    }

    pub(super) fn write(&mut self, data: &[u8], position: u64) {
        let end = position + data.len() as u64;
        if end > self.len {
            self.len = end;
            self.pages.resize(to_index(end.div_ceil(PAGE as u64)), None);
        }
        let mut at = to_index(position);
        let mut rest = data;
        while !rest.is_empty() {
            let within = at % PAGE;
            let (piece, behind) = rest.split_at((PAGE - within).min(rest.len()));
            let page = &mut self.pages[at / PAGE];
            if piece.iter().all(|byte| *byte == 0) && (page.is_none() || piece.len() == PAGE) {
                *page = None;
            } else {
                let page = page.get_or_insert_with(|| Arc::new([0; PAGE]));
                Arc::make_mut(page)[within..within + piece.len()].copy_from_slice(piece);
            }
            at += piece.len();
            rest = behind;
        }
    }
}

type Page = [u8; PAGE];

const PAGE: usize = 4096;

pub(super) fn to_index(position: u64) -> usize {
    usize::try_from(position).expect("a file in memory fits memory")
}
