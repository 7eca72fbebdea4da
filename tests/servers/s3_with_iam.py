"""An S3 server (moto) on loopback that enforces IAM: one bucket, and one user for each policy file.

Usage: s3_with_iam.py [BUCKET PREFIX [NAME=POLICY_FILE]...]

In the policies, BUCKET and PREFIX are filled in, as an operator would. A NAME that comes again gets the other policy too.
Without a BUCKET there is nothing yet, and everybody may do everything until a 0 is posted to /moto-api/reset-auth.

Prints one line of JSON once it listens: {"endpoint": URL, "users": {NAME: {"access_key_id", "secret_access_key"}}}.
Ends when its standard input is closed, so that it can't outlive the test that started it.
"""

import json
import os
import sys

import boto3
from moto import settings
from moto.server import ThreadedMotoServer


def main():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    users = set_up(endpoint, *sys.argv[1:]) if sys.argv[1:] else {}
    print(json.dumps({"endpoint": endpoint, "users": users}), flush=True)
    sys.stdin.read()


def set_up(endpoint, bucket, prefix, *policies):
    access = dict(
        endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="setup", aws_secret_access_key="setup"
    )
    boto3.client("s3", **access).create_bucket(Bucket=bucket)
    iam = boto3.client("iam", **access)
    users = {}
    for policy in policies:
        name, path = policy.split("=", 1)
        with open(path) as file:
            document = file.read().replace("BUCKET", bucket).replace("PREFIX", prefix)
        if name not in users:
            iam.create_user(UserName=name)
            key = iam.create_access_key(UserName=name)["AccessKey"]
            users[name] = {"access_key_id": key["AccessKeyId"], "secret_access_key": key["SecretAccessKey"]}
        # A user who is named twice has both policies.
        iam.put_user_policy(UserName=name, PolicyName=os.path.basename(path), PolicyDocument=document)
    # From here on every request must be signed by a user, and allowed to that user.
    settings.INITIAL_NO_AUTH_ACTION_COUNT = 0
    return users


main()
