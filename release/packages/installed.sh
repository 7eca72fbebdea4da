# After the files are there, also in an upgrade. systemd gives the service a user of the unit's name; that it is one of the host's
# own keeps its number the same, so that files can be given to it.
if ! getent passwd lifeboat >/dev/null; then
    useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin lifeboat
fi
# It is enabled and started by whoever has written its settings; one that runs goes on with the new program.
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    systemctl try-restart lifeboat.service
fi
