"""Where images and their evidence are kept: an OCI layout folder or an OCI registry, behind one interface."""
