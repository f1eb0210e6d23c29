//! Reading the tree: the files that a batch names, all files, and what is near a name that is not
//! there. Nothing here takes the lock or writes.

pub(super) mod compare;
pub(super) mod ignored;
pub(super) mod large;
pub(super) mod load;
pub(super) mod near_names;
pub(super) mod shelf;
pub(super) mod walk;
