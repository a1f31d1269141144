{{/* What every pod has: no right in the cluster, no variables of other Services. */}}
{{- define "venuemesh.podBase" -}}
serviceAccountName: {{ include "venuemesh.name" . }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets: {{ toJson . }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: {{ .user | default 10001 }}
  runAsGroup: {{ .user | default 10001 }}
  fsGroup: {{ .user | default 10001 }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- end }}

{{/* What every container has. */}}
{{- define "venuemesh.containerBase" -}}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
resources: {{ index .root.Values.resources .resources | toJson }}
{{- end }}

{{/* Processes of one kind are placed on different machines where there are some. */}}
{{- define "venuemesh.spread" -}}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "venuemesh.selector" . | nindent 8 }}
{{- end }}

{{- define "venuemesh.temporary" -}}
- name: temporary
  emptyDir: {medium: Memory, sizeLimit: 64Mi}
{{- end }}

{{/* A process that serves gRPC answers by its certificate. It is ready when it has all that it needs, or
stands by. `check` replaces both questions for what serves no gRPC. */}}
{{- define "venuemesh.probes" -}}
{{- $alive := .check | default (dict "exec" (dict "command" (list "python" "-m" "ops.docker.health"))) -}}
{{- $ready := .check | default (dict "exec" (dict "command" (list "python" "-m" "ops.docker.health" "--ready"))) -}}
startupProbe: {{ merge (dict "periodSeconds" 2 "timeoutSeconds" 10 "failureThreshold" 60) $alive | toJson }}
livenessProbe: {{ merge (dict "periodSeconds" 15 "timeoutSeconds" 10 "failureThreshold" 6) $alive | toJson }}
readinessProbe: {{ merge (dict "periodSeconds" 5 "timeoutSeconds" 10 "failureThreshold" 3) $ready | toJson }}
{{- end }}

{{/* The settings that come from where a process runs. `folder` has its token and certificate. */}}
{{- define "venuemesh.environment" -}}
- name: VENUEMESH_ADVERTISE_HOST
  valueFrom: {fieldRef: {fieldPath: status.podIP}}
- name: VENUEMESH_REGISTRY
  value: {{ .root.Release.Name }}-registry:{{ .root.Values.gateway.port }}
- name: VENUEMESH_SIMULATOR_URL
  value: http://{{ .root.Release.Name }}-simulator:{{ .root.Values.simulator.httpPort }}
- name: VENUEMESH_ACCESS_TOKEN_FILE
  value: {{ .folder }}/token
- name: VENUEMESH_ACCESS_TRUST_FILE
  value: {{ .folder }}/jwks.json
- name: VENUEMESH_TLS_CERTIFICATE_FILE
  value: {{ .folder }}/certificate.pem
- name: VENUEMESH_TLS_AUTHORITY_FILE
  value: {{ .folder }}/authority.crt
- name: VENUEMESH_TELEMETRY_METRICS_HOST
  value: 0.0.0.0
{{- with .port }}
- name: VENUEMESH_HEALTH_ADDRESS
  value: 127.0.0.1:{{ . }}
{{- end }}
{{- if has "redis" .networks }}
- name: VENUEMESH_REDIS_URL
  value: redis://venuemesh_{{ .id }}@{{ include "venuemesh.redisHost" .root }}/0
- name: VENUEMESH_REDIS_PASSWORD_FILE
  value: /run/secrets/redis-{{ .id }}
{{- end }}
{{- if has "database" .networks }}
- name: VENUEMESH_DATABASE_URL
  value: postgresql://venuemesh_{{ .id }}@{{ include "venuemesh.databaseHost" .root }}/venuemesh
- name: VENUEMESH_DATABASE_PASSWORD_FILE
  value: /run/secrets/postgresql-{{ .id }}
{{- end }}
{{- range $name, $value := .environment }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}

{{/* The ports of a process, by the names that Services and probes use. */}}
{{- define "venuemesh.ports" -}}
{{- with .port }}
- {name: grpc, containerPort: {{ . }}}
- {name: metrics, containerPort: {{ add . 10000 }}}
{{- end }}
{{- with .httpPort }}
- {name: http, containerPort: {{ . }}}
{{- end }}
{{- end }}

{{/* The files of a Secret are mounted once all of them are there: until then the pod waits. */}}
{{- define "venuemesh.identityVolume" -}}
- name: {{ .volume }}
  secret:
    secretName: {{ include "venuemesh.identity" . }}
    defaultMode: 0440
    items:
      - {key: token, path: token}
      - {key: jwks.json, path: jwks.json}
      - {key: certificate.pem, path: certificate.pem}
      - {key: authority.crt, path: authority.crt}
{{- end }}

{{- define "venuemesh.keyVolume" -}}
- name: keys
  secret:
    secretName: {{ include "venuemesh.identity" . }}
    defaultMode: 0440
    items: [{key: {{ .key }}, path: {{ .key }}}]
{{- end }}

{{/* The files of the Secret with passwords that this process alone needs. */}}
{{- define "venuemesh.secretVolume" -}}
- name: secrets
  secret:
    secretName: {{ .root.Values.secretName }}
    defaultMode: 0440
    items:
{{- range .files }}
      - {key: {{ . }}, path: {{ . }}}
{{- end }}
{{- end }}

{{- define "venuemesh.claim" -}}
metadata: {name: data}
spec:
  accessModes: [ReadWriteOnce]
  {{- with .root.Values.storageClass }}
  storageClassName: {{ . }}
  {{- end }}
  resources: {requests: {storage: {{ .storage }}}}
{{- end }}

{{- define "venuemesh.settingsChecksum" -}}
checksum/settings: {{ include (print .root.Template.BasePath "/settings.yaml") .root | sha256sum }}
{{- end }}
