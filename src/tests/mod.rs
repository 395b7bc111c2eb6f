//! Stories that cross rooms.
