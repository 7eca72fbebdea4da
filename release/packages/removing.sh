# Before the files go. The user stays, as files may be its own.
if [ -d /run/systemd/system ]; then
    systemctl disable --now lifeboat.service lifeboat-drill.timer
fi
