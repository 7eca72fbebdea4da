{{/* What is added to data planes: the notes print it, since Kong's chart takes these lists as they are, without templates. */}}

{{- define "lifeboat.importerEnvFrom" -}}
- configMapRef: { name: {{ include "lifeboat.fullname" . }} }
{{- with .Values.relay.envFrom }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Takes a list: the root, and the name of the volume with the cluster certificate. */}}
{{- define "lifeboat.importerMounts" -}}
{{- $values := (index . 0).Values -}}
- { name: {{ index . 1 }}, mountPath: /cluster, readOnly: true }
{{- if $values.keys.trustedSecretName }}
- { name: lifeboat-trusted-key, mountPath: /keys/trusted, readOnly: true }
{{- end }}
{{- if $values.keys.encryptionSecretName }}
- { name: lifeboat-encryption-key, mountPath: /keys/encryption, readOnly: true }
{{- end }}
{{- if $values.store.ca.configMapName }}
- { name: lifeboat-store-ca, mountPath: /store-ca, readOnly: true }
{{- end }}
{{- end -}}

{{/* Volumes of the pod for these, but for the cluster certificate. Kong's container mounts none of them. Empty if there are none. */}}
{{- define "lifeboat.importerVolumes" -}}
{{- with .Values.keys.trustedSecretName }}
- name: lifeboat-trusted-key
  secret: { secretName: {{ . }} }
{{- end }}
{{- with .Values.keys.encryptionSecretName }}
- name: lifeboat-encryption-key
  secret: { secretName: {{ . }} }
{{- end }}
{{- with .Values.store.ca.configMapName }}
- name: lifeboat-store-ca
  configMap: { name: {{ . }} }
{{- end }}
{{- end -}}

{{/* The name that data planes ask for in the certificate that relays show; only for pki. */}}
{{- define "lifeboat.relayServerName" -}}
{{- default (printf "%s-relay.%s.svc.cluster.local" (include "lifeboat.fullname" .) .Release.Namespace) .Values.relay.serverName -}}
{{- end -}}

{{/* The same for sidecars. */}}
{{- define "lifeboat.sidecarServerName" -}}
{{- if .Values.relay.certificateSecretName -}}
{{- include "lifeboat.relayServerName" . -}}
{{- else -}}
{{- default "NAME-IN-THE-CLUSTER-CERTIFICATE" .Values.cluster.serverName -}}
{{- end -}}
{{- end -}}

{{/* What pki needs in Kong's environment besides the address, and why. */}}
{{- define "lifeboat.kongTrust" -}}
cluster_server_name: {{ include "lifeboat.relayServerName" . }}
{{- if .Values.relay.authoritySecretName }}
# Add further ones that your data planes trust already.
lua_ssl_trusted_certificate: system,/etc/secrets/{{ .Values.relay.authoritySecretName }}/ca.crt
{{- else }}
# The authority of this certificate must be in lua_ssl_trusted_certificate.
{{- end }}
{{- end -}}

{{/* Takes a list: the root, and the name of the volume with the cluster certificate. */}}
{{- define "lifeboat.sidecar" -}}
{{- $root := index . 0 -}}
{{- $certificate := $root.Values.relay.certificateSecretName -}}
- name: lifeboat
  image: {{ include "lifeboat.image" $root | quote }}
  args: [run]
  # This is what makes it a sidecar: started before Kong, stopped after it.
  restartPolicy: Always
  envFrom:
    {{- include "lifeboat.importerEnvFrom" $root | nindent 4 }}
  env:
    - { name: KONG_CLUSTER_FALLBACK_CONFIG_IMPORT, value: "on" }
    - { name: LIFEBOAT_RELAY_LISTEN, value: "127.0.0.1:8005" }
    - { name: LIFEBOAT_HTTP_LISTEN, value: "0.0.0.0:8115" }
    {{- if $certificate }}
    - { name: LIFEBOAT_RELAY_CERT, value: /relay/tls.crt }
    - { name: LIFEBOAT_RELAY_CERT_KEY, value: /relay/tls.key }
    {{- end }}
  ports:
    - { name: lifeboat, containerPort: 8115 }
  startupProbe:
    httpGet: { path: /readyz, port: lifeboat }
    periodSeconds: 1
    failureThreshold: 60
  livenessProbe:
    httpGet: { path: /healthz, port: lifeboat }
    periodSeconds: 10
    timeoutSeconds: 5
  resources:
    {{- include "lifeboat.resources" (list (include "lifeboat.relayMemory" (list $root 1)) "20m") | nindent 4 }}
  securityContext:
    {{- include "lifeboat.guestSecurityContext" $root | nindent 4 }}
  volumeMounts:
    {{- include "lifeboat.importerMounts" . | nindent 4 }}
    {{- if $certificate }}
    - { name: lifeboat-relay-certificate, mountPath: /relay, readOnly: true }
    {{- end }}
{{- end -}}

{{/* Volumes of the pod for a sidecar, likewise. */}}
{{- define "lifeboat.sidecarVolumes" -}}
{{- include "lifeboat.importerVolumes" . }}
{{- with .Values.relay.certificateSecretName }}
- name: lifeboat-relay-certificate
  secret: { secretName: {{ . }} }
{{- end }}
{{- end -}}

{{- define "lifeboat.importContainer" -}}
- name: lifeboat-import
  image: {{ include "lifeboat.image" . | quote }}
  args: [import, --kong-version, {{ default (first .Values.kongVersions) .Values.kong.version | quote }}, --exit-zero-if, nothing-to-do]
  envFrom:
    {{- include "lifeboat.importerEnvFrom" . | nindent 4 }}
  env:
    - { name: KONG_PREFIX, value: /kong_prefix/ }
  resources:
    {{- include "lifeboat.resources" (list (include "lifeboat.relayMemory" (list . 1)) "50m") | nindent 4 }}
  # With Kong's user, whose cache it writes.
  securityContext:
    {{- include "lifeboat.guestSecurityContext" . | nindent 4 }}
    runAsUser: 1000
    runAsGroup: 1000
  volumeMounts:
    {{- include "lifeboat.importerMounts" (list . .Values.cluster.secretName) | nindent 4 }}
    - { name: {{ .Values.kong.release }}-kong-prefix-dir, mountPath: /kong_prefix/ }
{{- end -}}

{{/* Keys of Kong's chart that each way in needs beside its container. Takes a list: the root, and the template of its volumes. */}}
{{- define "lifeboat.kongDeployment" -}}
{{- $root := index . 0 -}}
serviceAccount:
  create: false
  name: {{ include "lifeboat.serviceAccountName" (list $root "importer") }}
{{- with include (index . 1) $root }}
userDefinedVolumes:
  {{- . | trim | nindent 2 }}
{{- end }}
{{- end -}}
