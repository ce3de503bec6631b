"""Holds the list of what is built against AWS's own model of S3, as botocore has it.

Run by tests/tests/compatibility.rs: model.py LIST.json. Fails with every operation, header, parameter and element of the
model that the list does not have, and with every name in the list that is nobody's.
"""

import json
import sys

import botocore
import botocore.session

# Operations of other services, and older forms of the same request.
ELSEWHERE = {"ListDirectoryBuckets": "directory buckets", "WriteGetObjectResponse": "Object Lambda"}
OLDER = {
    "GetBucketLifecycle": "GetBucketLifecycleConfiguration",
    "GetBucketNotification": "GetBucketNotificationConfiguration",
    "PutBucketLifecycle": "PutBucketLifecycleConfiguration",
    "PutBucketNotification": "PutBucketNotificationConfiguration",
}
# What AWS documents outside its model: HTTP's and the signature's own, CORS, and what an operation is known by.
BESIDE = {
    "Authorization", "x-amz-date", "x-amz-content-sha256", "x-amz-decoded-content-length", "x-amz-trailer", "Expect", "Content-Range",
    "Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers", "list-type", "X-Amz-Algorithm",
    "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Signature",
}
# Not in the model at all: they have no client's method.
UNMODELLED = {"POST Object", "Preflight"}


def elements(shape, path=""):
    """The paths of all elements of an XML body, below its root."""
    for name, member in shape.members.items():
        name = member.serialization.get("name", name)
        if member.type_name == "list":
            if not member.serialization.get("flattened"):
                # The list itself, and each of its entries.
                yield f"{path}{name}"
                name = f"{name}/{member.member.serialization.get('name', 'member')}"
            member = member.member
        yield f"{path}{name}"
        if member.type_name == "structure":
            yield from elements(member, f"{path}{name}/")


def fields(operation):
    """(place, name) of all that a request of the operation may carry, but bucket, key and the object's bytes."""
    shape = operation.input_shape
    if shape is None:
        return
    payload = shape.serialization.get("payload")
    for name, member in shape.members.items():
        place, wire = member.serialization.get("location"), member.serialization.get("name", name)
        if place in ("header", "headers"):
            yield "header", wire + ("*" if place == "headers" else "")
        elif place == "querystring":
            yield "parameter", wire
        elif place is None and name == payload and member.type_name == "structure":
            for path in elements(member):
                yield "element", path


def main(path):
    listed = json.load(open(path))
    operations = {row["name"]: row for row in listed["operations"]}
    model = botocore.session.get_session().get_service_model("s3")
    problems, checked, known = [], 0, set()
    rows = {}
    for row in listed["fields"]:
        for name in row["names"]:
            for operation in row["of"]:
                rows.setdefault((operation, row["place"], name.lower()), []).append(row)
    for name in model.operation_names:
        if name in ELSEWHERE:
            continue
        own = OLDER.get(name, name)
        if own not in operations:
            problems.append(f"operation {own} is not listed")
            continue
        if operations[own]["built"] == "no":
            continue
        for place, field in fields(model.operation_model(name)):
            checked += 1
            known.add((place, field.lower()))
            # What stands below an element that is not built is not built.
            above = [field[:at] for at, char in enumerate(field) if char == "/"]
            found = rows.get((own, place, field.lower())) or any(
                row["built"] == "no" for up in above for row in rows.get((own, place, up.lower()), []))
            # A list around its entries says nothing of its own.
            inside = place == "element" and any(
                key[0] == own and key[1] == place and key[2].startswith(field.lower() + "/") for key in rows)
            if not found and not inside:
                problems.append(f"{own}: {place} {field} is not listed")
    for name in set(operations) - set(model.operation_names) - UNMODELLED:
        problems.append(f"operation {name} is in no model")
    for row in listed["fields"]:
        for name in row["names"]:
            if row["place"] in ("header", "parameter", "element") and name not in BESIDE:
                if (row["place"], name.lower()) not in known:
                    problems.append(f"{row['topic']}: {name} is in no model")
        if not row["of"]:
            problems.append(f"{row['topic']} belongs to no operation")
    if problems:
        sys.exit("\n".join(problems))
    print(f"MEASURED botocore {botocore.__version__}: {len(model.operation_names)} operations, {checked} fields, all listed")
    assert checked > 400, checked


if __name__ == "__main__":
    main(sys.argv[1])
