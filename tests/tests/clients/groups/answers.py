"""What answers hold: every header and element of AWS's model that a built operation may answer was seen, or is known why not."""

from collections import defaultdict

# Members of answers that are never sent, by why; some of one operation only.
NEVER_SENT = {
    "versions are not built": {"VersionId", "CopySourceVersionId", "DeleteMarker", "DeleteMarkers", "DeleteMarkerVersionId",
                               "ExpiredObjectDeleteMarker", "NoncurrentVersionTransitions", "NoncurrentVersionExpiration"},
    "other encryption is not built": {"ServerSideEncryption", "SSEKMSKeyId", "SSEKMSEncryptionContext", "BucketKeyEnabled"},
    "these algorithms are not built": {"ChecksumSHA512", "ChecksumMD5", "ChecksumXXHASH64", "ChecksumXXHASH3", "ChecksumXXHASH128"},
    "tags are not built": {"TagCount", "Tag", "Tags"},
    "locks are not built": {"ObjectLockMode", "ObjectLockRetainUntilDate", "ObjectLockLegalHoldStatus", "ObjectLockEventHold",
                            "ObjectLockEventHoldDurationDays", "ObjectLockEventHoldDurationYears"},
    "nothing is archived, moved or replicated": {"Restore", "RestoreStatus", "ArchiveStatus", "Transitions", "ReplicationStatus"},
    "AWS leaves STANDARD out of reads": {"GetObject.StorageClass", "HeadObject.StorageClass"},
    "nobody pays": {"RequestCharged"},
    "all metadata can be sent": {"MissingMeta"},
    "appending is not built": {"PutObject.Size"},
    "directory buckets and access points are not built": {"BucketArn", "BucketLocationType", "BucketLocationName", "AccessPointAlias"},
}
UNSENT = {name for names in NEVER_SENT.values() for name in names}
OF_FIVE = {f"Checksum{algorithm}" for algorithm in ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256")}
seen, models = defaultdict(set), {}


def plain(name):
    """An answer has one of five checksums: any of them will do."""
    return "Checksum of five" if name in OF_FIVE else name


def watch(parsed, model, **_):
    """For botocore's `after-call`: remembers every member of an answer."""
    models[model.name] = model.output_shape
    remember(model.name, model.output_shape, parsed)


def remember(operation, shape, value):
    if shape is not None and shape.type_name == "list":
        for one in value:
            remember(operation, shape.member, one)
    elif shape is not None and shape.type_name == "structure":
        for name, member in shape.members.items():
            if name in value:
                seen[operation].add(plain(name))
                remember(operation, member, value[name])


def members(shape):
    for name, member in shape.members.items() if shape else ():
        yield plain(name)
        inner = member.member if member.type_name == "list" else member
        if inner.type_name == "structure" and name not in UNSENT:
            yield from members(inner)


def never_seen(built):
    """What no answer of these operations held and nobody explains."""
    for operation in sorted(set(models) & built):
        for name in sorted(set(members(models[operation])) - seen[operation] - UNSENT):
            if f"{operation}.{name}" in UNSENT:
                continue
            yield f"{operation}: no answer held {name}"
