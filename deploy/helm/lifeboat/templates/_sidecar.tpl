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

{{/* Takes a list: the root, and the name of the volume with the cluster certificate. */}}
{{- define "lifeboat.sidecar" -}}
{{- $root := index . 0 -}}
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

{{/* Keys of Kong's chart that each way in needs beside its container. */}}
{{- define "lifeboat.kongDeployment" -}}
serviceAccount:
  create: false
  name: {{ include "lifeboat.serviceAccountName" (list . "importer") }}
{{- with include "lifeboat.importerVolumes" . }}
userDefinedVolumes:
  {{- . | trim | nindent 2 }}
{{- end }}
{{- end -}}
