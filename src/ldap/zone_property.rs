//! What the directory says about a zone as a whole: the values of the attribute dNSProperty (MS-DNSP §2.3.2.1).

/// Octets before the data.
const HEADER: usize = 20;
/// The only version there is.
const VERSION: u32 = 1;

/// What a zone is set to; none of what is not told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Properties {
    /// Whose updates the zone takes.
    pub updates: Option<Updates>,
    /// Whether records that nobody refreshes are taken out.
    pub ageing: Option<bool>,
    /// Hours for which a refresh changes nothing.
    pub no_refresh: Option<u32>,
    /// Hours after that within which a record must be refreshed.
    pub refresh: Option<u32>,
}

/// Whose updates a zone takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Updates {
    /// Nobody's.
    Off,
    /// Everybody's; signed ones may be answered as if they were not.
    NonsecureAndSecure,
    /// Signed ones.
    SecureOnly,
    /// Something else.
    Other(u8),
}

impl Properties {
    /// Takes what a value says, if it is one of those that matter here.
    pub fn take(&mut self, octets: &[u8]) {
        let Some((id, data)) = parse(octets) else { return };
        match (id, data) {
            (0x02, &[mode, ..]) => self.updates = Some(Updates::of(mode)),
            (0x10, _) => self.no_refresh = number(data),
            (0x20, _) => self.refresh = number(data),
            (0x40, _) => self.ageing = number(data).map(|number| number != 0),
            _ => {}
        }
    }
}

impl Updates {
    const fn of(mode: u8) -> Self {
        match mode {
            0 => Self::Off,
            1 => Self::NonsecureAndSecure,
            2 => Self::SecureOnly,
            other => Self::Other(other),
        }
    }
}

/// The property's number and data.
fn parse(octets: &[u8]) -> Option<(u32, &[u8])> {
    let (header, rest) = octets.split_first_chunk::<HEADER>()?;
    let field = |index: usize| number(header.get(index * 4..)?);
    let length = usize::try_from(field(0)?).ok()?;
    (field(3)? == VERSION).then_some(())?;
    Some((field(4)?, rest.get(..length)?))
}

fn number(octets: &[u8]) -> Option<u32> {
    octets.first_chunk().map(|octets| u32::from_le_bytes(*octets))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value(id: u32, data: &[u8]) -> Vec<u8> {
        let length = u32::try_from(data.len()).unwrap();
        let header = [length, 1, 0, 1, id].map(u32::to_le_bytes).concat();
        [&header, data, &[0]].concat()
    }

    fn properties(values: &[Vec<u8>]) -> Properties {
        let mut properties = Properties::default();
        values.iter().for_each(|value| properties.take(value));
        properties
    }

    #[test]
    fn what_matters_is_told_and_the_rest_passed_over() {
        let values = [
            value(0x01, &[1, 0, 0, 0]),
            value(0x02, &[2]),
            value(0x10, &168u32.to_le_bytes()),
            value(0x20, &24u32.to_le_bytes()),
            value(0x40, &[1, 0, 0, 0]),
        ];
        let expected = Properties {
            updates: Some(Updates::SecureOnly),
            ageing: Some(true),
            no_refresh: Some(168),
            refresh: Some(24),
        };
        assert_eq!(properties(&values), expected);
        assert_eq!(properties(&[value(0x02, &[1])]).updates, Some(Updates::NonsecureAndSecure));
        let mut short = value(0x02, &[2]);
        short.truncate(HEADER);
        assert_eq!(properties(&[short, value(0x02, &[]), value(0x40, &[1])]), Properties::default());
    }

    proptest! {
        #[test]
        fn no_octets_make_it_panic(octets in prop::collection::vec(any::<u8>(), 0..64)) {
            Properties::default().take(&octets);
        }
    }
}
