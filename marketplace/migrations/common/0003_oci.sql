-- What OCI clients are served beside capsule files: manifests, configs and bundles, written with
-- the version that they are about.
CREATE TABLE oci_documents (
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    media_type TEXT NOT NULL,
    body TEXT NOT NULL,
    -- Of a capsule's manifest: the version that it is of.
    version TEXT,
    -- Of a manifest that is attached to another: that one's digest.
    subject TEXT,
    PRIMARY KEY (namespace, name, digest)
);

CREATE INDEX oci_documents_by_version ON oci_documents (namespace, name, version);

CREATE INDEX oci_documents_by_subject ON oci_documents (namespace, name, subject);
