{{/* Names and labels. */}}
{{- define "lifeboat.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{/* Each object asks for its name first, so values are checked before they are used, whichever template helm begins with. */}}
{{- define "lifeboat.fullname" -}}
{{- include "lifeboat.check" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains (include "lifeboat.name" .) .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "lifeboat.name" .) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Takes a list: the root, and the component, which may be empty. */}}
{{- define "lifeboat.selectorLabels" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "lifeboat.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
{{- with index . 1 }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end -}}

{{- define "lifeboat.labels" -}}
{{- $root := index . 0 -}}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{ include "lifeboat.selectorLabels" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Takes a list: the root, and exporter or importer. */}}
{{- define "lifeboat.serviceAccountName" -}}
{{- $root := index . 0 -}}
{{- $role := index . 1 -}}
{{- $account := index $root.Values.serviceAccounts $role -}}
{{- if $account.name -}}
{{- $account.name -}}
{{- else if $account.create -}}
{{- printf "%s-%s" (include "lifeboat.fullname" $root) $role -}}
{{- else -}}
{{- fail (printf "serviceAccounts.%s.name is not set: with create: false it must name a ServiceAccount that there is" $role) -}}
{{- end -}}
{{- end -}}

{{- define "lifeboat.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* Refuses what the schema can't see: what has no default, and what belongs together. */}}
{{- define "lifeboat.check" -}}
{{- $values := .Values -}}
{{- $_ := required "image.repository is not set: give the image's name in your registry, such as registry.example.com/lifeboat" $values.image.repository -}}
{{- $_ := required "controlPlane is not set: give the control plane's cluster listener, such as kong-cp-kong-cluster.kong.svc.cluster.local:8005" $values.controlPlane -}}
{{- $_ := required "store.url is not set: give the store, such as s3://kong-backups/prod" $values.store.url -}}
{{- if not $values.kongVersions -}}
{{- fail "kongVersions is empty: give the versions of your data planes, such as [\"3.9.1\"]" -}}
{{- end -}}
{{- if and $values.keys.signingSecretName (not $values.keys.trustedSecretName) -}}
{{- fail "keys.trustedSecretName is not set, but keys.signingSecretName is: nothing would check the signatures" -}}
{{- end -}}
{{- if and $values.keys.trustedSecretName $values.exporter.enabled (not $values.keys.signingSecretName) -}}
{{- fail "keys.signingSecretName is not set, but keys.trustedSecretName is: what exporters publish would not be accepted" -}}
{{- end -}}
{{- range $name := list "serverName" "authoritySecretName" -}}
{{- if and (index $values.relay $name) (not $values.relay.certificateSecretName) -}}
{{- fail (printf "relay.%s needs relay.certificateSecretName: it says more of that certificate" $name) -}}
{{- end -}}
{{- end -}}
{{- if and (eq $values.cluster.mtls "shared") $values.relay.certificateSecretName -}}
{{- fail "relay.certificateSecretName needs cluster.mtls pki: with shared, data planes expect the cluster certificate" -}}
{{- end -}}
{{- end -}}

{{/* What all containers are told, from the ConfigMap; docs/settings.md explains each. */}}
{{- define "lifeboat.settings" -}}
LIFEBOAT_CONTROL_PLANE: {{ .Values.controlPlane | quote }}
KONG_CLUSTER_MTLS: {{ .Values.cluster.mtls | quote }}
KONG_CLUSTER_CERT: /cluster/tls.crt
KONG_CLUSTER_CERT_KEY: /cluster/tls.key
{{- if ne .Values.cluster.mtls "shared" }}
KONG_CLUSTER_CA_CERT: {{ printf "/cluster/%s" .Values.cluster.caKey }}
{{- with .Values.cluster.serverName }}
KONG_CLUSTER_SERVER_NAME: {{ . | quote }}
{{- end }}
{{- end }}
{{- if eq (len .Values.kongVersions) 1 }}
KONG_VERSION: {{ first .Values.kongVersions | quote }}
{{- else }}
LIFEBOAT_KONG_VERSIONS: {{ join "," .Values.kongVersions | quote }}
{{- end }}
KONG_CLUSTER_FALLBACK_CONFIG_STORAGE: {{ .Values.store.url | quote }}
{{- with .Values.store.fallback }}
LIFEBOAT_FALLBACK_STORAGE: {{ join "," . | quote }}
{{- end }}
{{- with .Values.store.region }}
AWS_REGION: {{ . | quote }}
{{- end }}
{{- with .Values.store.endpoint }}
AWS_CONFIG_STORAGE_ENDPOINT: {{ . | quote }}
{{- end }}
{{- if .Values.store.ca.configMapName }}
LIFEBOAT_STORAGE_CA: {{ printf "/store-ca/%s" .Values.store.ca.key }}
{{- end }}
LIFEBOAT_MAX_CONFIG: {{ .Values.maxConfig | int64 | quote }}
{{- if .Values.keys.trustedSecretName }}
LIFEBOAT_TRUSTED_KEYS_FILE: /keys/trusted/trusted-key
{{- end }}
{{- if .Values.keys.encryptionSecretName }}
LIFEBOAT_ENCRYPTION_KEYS_FILE: /keys/encryption/encryption-key
{{- end }}
LIFEBOAT_LOG_FORMAT: json
{{- end -}}

{{/* docs/sizing.md, in MiB, rounded up. An exporter: 64 MiB and three of the largest for each version, and one for drills. */}}
{{- define "lifeboat.exporterMemory" -}}
{{- $largest := .Values.maxConfig | int64 -}}
{{- $times := mul 3 (len .Values.kongVersions) -}}
{{- if ne .Values.exporter.drillEvery "off" -}}{{- $times = add 1 $times -}}{{- end -}}
{{- add 64 (div (add (mul $times $largest) 1048575) 1048576) -}}
{{- end -}}

{{/* A relay, for a number of nodes: 64 MiB, three of the largest, two for each further version, 128 KiB for each node. */}}
{{- define "lifeboat.relayMemory" -}}
{{- $values := (index . 0).Values -}}
{{- $nodes := index . 1 | int64 -}}
{{- $largest := $values.maxConfig | int64 -}}
{{- $times := add 1 (mul 2 (len $values.kongVersions)) -}}
{{- add 64 (div (add (mul $times $largest) (mul 131072 $nodes) 1048575) 1048576) -}}
{{- end -}}

{{/* Takes a list: MiB, and the CPU. */}}
{{- define "lifeboat.resources" -}}
{{- $memory := index . 0 | int64 -}}
requests: { cpu: {{ index . 1 }}, memory: {{ div (add $memory 1) 2 }}Mi }
limits: { memory: {{ $memory }}Mi }
{{- end -}}

{{- define "lifeboat.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end -}}

{{/* The same in a pod of Kong's, which may say nothing of it. */}}
{{- define "lifeboat.guestSecurityContext" -}}
{{ include "lifeboat.securityContext" . }}
runAsNonRoot: true
seccompProfile: { type: RuntimeDefault }
{{- end -}}

{{/* Takes a list: the root, and whether the signing key is among them. */}}
{{- define "lifeboat.volumeMounts" -}}
{{- $values := (index . 0).Values -}}
- { name: cluster-certificate, mountPath: /cluster, readOnly: true }
{{- if and (index . 1) $values.keys.signingSecretName }}
- { name: signing-key, mountPath: /keys/signing, readOnly: true }
{{- end }}
{{- if $values.keys.trustedSecretName }}
- { name: trusted-key, mountPath: /keys/trusted, readOnly: true }
{{- end }}
{{- if $values.keys.encryptionSecretName }}
- { name: encryption-key, mountPath: /keys/encryption, readOnly: true }
{{- end }}
{{- if $values.store.ca.configMapName }}
- { name: store-ca, mountPath: /store-ca, readOnly: true }
{{- end }}
{{- end -}}

{{- define "lifeboat.volumes" -}}
{{- $values := (index . 0).Values -}}
- name: cluster-certificate
  secret: { secretName: {{ $values.cluster.secretName }} }
{{- if and (index . 1) $values.keys.signingSecretName }}
- name: signing-key
  secret: { secretName: {{ $values.keys.signingSecretName }} }
{{- end }}
{{- with $values.keys.trustedSecretName }}
- name: trusted-key
  secret: { secretName: {{ . }} }
{{- end }}
{{- with $values.keys.encryptionSecretName }}
- name: encryption-key
  secret: { secretName: {{ . }} }
{{- end }}
{{- with $values.store.ca.configMapName }}
- name: store-ca
  configMap: { name: {{ . }} }
{{- end }}
{{- end -}}

{{/* Takes a list: the root, and exporter or relay. What its pods have beside their containers. */}}
{{- define "lifeboat.scheduling" -}}
{{- $root := index . 0 -}}
{{- $part := index $root.Values (index . 1) -}}
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $part.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $part.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $part.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $part.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml . | nindent 2 }}
{{- end }}
affinity:
{{- if $part.affinity }}
  {{- toYaml $part.affinity | nindent 2 }}
{{- else }}
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels:
              {{- include "lifeboat.selectorLabels" . | nindent 14 }}
{{- end }}
{{- end -}}

{{/* Takes a list: the root, exporter or relay. */}}
{{- define "lifeboat.podMetadata" -}}
{{- $root := index . 0 -}}
{{- $part := index $root.Values (index . 1) -}}
labels:
  {{- include "lifeboat.labels" . | nindent 2 }}
  {{- with $root.Values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
annotations:
  checksum/config: {{ include (print $root.Template.BasePath "/configmap.yaml") $root | sha256sum }}
  {{- with $part.podAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}
