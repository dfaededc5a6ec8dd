//! What a frame may be. The numbers stand in files: none is ever given a second meaning.

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The first frame of a segment: [`crate::Header`].
    Header,
    /// The wall clock when the frames behind it were written.
    Mark,
    /// All bindings of one address-of-record; none: it has none any more.
    Registration,
    /// A domain is about to be replaced: its name and who is told of its registrations.
    DomainBegin,
    /// Some of its users.
    DomainUsers,
    /// That were all of them: now it counts.
    DomainEnd,
    /// There is no such domain any more.
    DomainRemoved,
    /// Users of a domain as they are now, or that they are gone.
    Users,
    /// The last frame of a snapshot: how many registrations and domains it holds.
    End,
}

impl Kind {
    const ALL: [Kind; 9] = [
        Kind::Header,
        Kind::Mark,
        Kind::Registration,
        Kind::DomainBegin,
        Kind::DomainUsers,
        Kind::DomainEnd,
        Kind::DomainRemoved,
        Kind::Users,
        Kind::End,
    ];

    /// As it stands in the file.
    pub(crate) fn number(self) -> u8 {
        match self {
            Kind::Header => 1,
            Kind::Mark => 2,
            Kind::Registration => 3,
            Kind::DomainBegin => 4,
            Kind::DomainUsers => 5,
            Kind::DomainEnd => 6,
            Kind::DomainRemoved => 7,
            Kind::Users => 8,
            Kind::End => 9,
        }
    }

    /// What a number means; `None`: a later version's.
    pub(crate) fn of(number: u8) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.number() == number)
    }
}
