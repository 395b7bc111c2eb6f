//! Stories of the pipeline.
