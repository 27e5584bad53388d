{{- define "modstream.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "modstream.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* The service's own pods, which a helm test's is not. */}}
{{- define "modstream.serviceSelector" -}}
{{ include "modstream.selector" . }}
app.kubernetes.io/component: service
{{- end -}}

{{- define "modstream.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{ include "modstream.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "modstream.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default (printf "%s-%s" $.Chart.AppVersion $.Values.flavour) }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "modstream.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "modstream.name" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{- define "modstream.hasModel" -}}
{{- if ne .Values.flavour "cpu" -}}yes{{- end -}}
{{- end -}}

{{/* The service's settings as they stand in the ConfigMap: what follows from other values is filled in. */}}
{{- define "modstream.settings" -}}
{{- $settings := deepCopy .Values.settings -}}
{{- if .Values.policies -}}
{{- $settings = mergeOverwrite (dict "policy" (dict "path" "/etc/modstream/policies")) $settings -}}
{{- end -}}
{{- if include "modstream.hasModel" . -}}
{{- $settings = mergeOverwrite (dict "engine" (dict "kind" "vllm")) $settings -}}
{{- end -}}
{{- /* JSON is YAML too, and writes 268435456 where YAML's writer would say 2.68435456e+08. */ -}}
{{- $settings | toPrettyJson -}}
{{- end -}}

{{- define "modstream.drainS" -}}
{{- $shutdown := .Values.settings.shutdown | default dict -}}
{{- ceil ($shutdown.drain_s | default 25) | int -}}
{{- end -}}

{{- define "modstream.graceS" -}}
{{- $drain := include "modstream.drainS" . | int -}}
{{- /* commit.timeout_s of 15 for the last commit, and 20 s for leaving the group and ending processes. */ -}}
{{- $grace := .Values.terminationGracePeriodSeconds | default (add $drain 35) | int -}}
{{- if le $grace $drain -}}
{{- fail (printf "terminationGracePeriodSeconds (%d) must be above settings.shutdown.drain_s (%d): Kubernetes would kill the process while it drains" $grace $drain) -}}
{{- end -}}
{{- $grace -}}
{{- end -}}

{{- define "modstream.maxReplicas" -}}
{{- $partitions := int .Values.partitions -}}
{{- min $partitions (int (.Values.autoscaling.maxReplicas | default $partitions)) -}}
{{- end -}}

{{- define "modstream.group" -}}
{{- dig "kafka" "group_id" "modstream" .Values.settings -}}
{{- end -}}

{{- define "modstream.uploads" -}}
{{- dig "topics" "uploads" "images.uploaded" .Values.settings -}}
{{- end -}}

{{- define "modstream.port" -}}
{{- $port := dig "monitoring" "port" 9464 .Values.settings | int -}}
{{- if not $port -}}
{{- fail "settings.monitoring.port of 0 is no endpoint, and Kubernetes could not ask whether a pod is alive" -}}
{{- end -}}
{{- $port -}}
{{- end -}}

{{/* What every container here may: nothing that it does not need. */}}
{{- define "modstream.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- define "modstream.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}
