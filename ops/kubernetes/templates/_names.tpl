{{/* The name of an object of a process: ids of venues have underscores, which names must not. */}}
{{- define "venuemesh.name" -}}
{{ .root.Release.Name }}-{{ .id | replace "_" "-" }}
{{- end }}

{{- define "venuemesh.image" -}}
{{ .root.Values.image.repository }}-{{ .image }}:{{ .root.Values.image.tag | default .root.Chart.AppVersion }}
{{- end }}

{{/* What selects the pods of a process, for as long as it exists. */}}
{{- define "venuemesh.selector" -}}
app.kubernetes.io/name: venuemesh
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .id }}
{{- end }}

{{- define "venuemesh.labels" -}}
{{ include "venuemesh.selector" . }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{/* The pods of one network of the mesh, by the labels that "venuemesh.podLabels" sets. */}}
{{- define "venuemesh.member" -}}
app.kubernetes.io/instance: {{ .root.Release.Name }}
venuemesh/network-{{ .network }}: "true"
{{- end }}

{{/* Without the version of the chart: a new one restarts only what it changes. */}}
{{- define "venuemesh.podLabels" -}}
{{ include "venuemesh.selector" . }}
{{- range .networks }}
venuemesh/network-{{ . }}: "true"
{{- end }}
{{- with .kind }}
venuemesh/kind: {{ . }}
{{- end }}
{{- end }}

{{- define "venuemesh.simulates" -}}
{{- if eq .Values.settings.VENUEMESH_WORLD "simulate" }}true{{ end }}
{{- end }}

{{/* The venues, services and the simulator that run, by service id, with their defaults, as JSON. Each
replica of a venue is a process of its own for the others: `identities` are their service ids. */}}
{{- define "venuemesh.processes" -}}
{{- $found := dict }}
{{- range $id, $own := .Values.venues }}
{{- $venue := dict "kind" "venue" "command" "venue" "image" "venue" "networks" (list "mesh" "exchanges") "key" "inspector.pub" "keyFolder" "/data/keys" }}
{{- range $values := list $.Values.venueDefaults $own }}{{ range $key, $value := $values }}{{ $_ := set $venue $key $value }}{{ end }}{{ end }}
{{- $_ := set $venue "identities" (slice (list $id (printf "%s-b" $id)) 0 (int $venue.replicas)) }}
{{- if $venue.enabled }}{{ $_ := set $found $id $venue }}{{ end }}
{{- end }}
{{- range $id, $own := merge (dict "simulator" (merge (dict "enabled" (not (empty (include "venuemesh.simulates" .)))) .Values.simulator)) .Values.services }}
{{- $service := dict "kind" $id "command" "run" "identities" (list $id) }}
{{- range $values := list $.Values.serviceDefaults $own }}{{ range $key, $value := $values }}{{ $_ := set $service $key $value }}{{ end }}{{ end }}
{{- range $network, $file := dict "redis" "redis" "database" "postgresql" }}
{{- if has $network $service.networks }}{{ $_ := set $service "secrets" (append $service.secrets (printf "%s-%s" $file $id)) }}{{ end }}
{{- end }}
{{- $_ := set $service "networks" (prepend $service.networks "mesh") }}
{{- if eq $id "inspector" }}{{ $_ := set $service "key" "approval.key" }}{{ $_ := set $service "keyFolder" "/data/keys/inspector" }}{{ end }}
{{- if $service.enabled }}{{ $_ := set $found $id $service }}{{ end }}
{{- end }}
{{- toJson $found }}
{{- end }}

{{/* The Secret with the token and the certificate of a process. */}}
{{- define "venuemesh.identity" -}}
{{ include "venuemesh.name" . }}-identity
{{- end }}

{{- define "venuemesh.redisHost" -}}
{{ ternary (printf "%s-redis" .Release.Name) .Values.redis.host .Values.redis.enabled }}:{{ .Values.redis.port }}
{{- end }}

{{- define "venuemesh.databaseHost" -}}
{{ ternary (printf "%s-database" .Release.Name) .Values.database.host .Values.database.enabled }}:{{ .Values.database.port }}
{{- end }}
