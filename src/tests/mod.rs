//! Stories that cross rooms.

mod floor_plan;
