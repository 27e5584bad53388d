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

{{/* The pods of `modstream api`, which have a Deployment of their own. */}}
{{- define "modstream.apiName" -}}
{{ include "modstream.name" . }}-api
{{- end -}}

{{- define "modstream.apiSelector" -}}
{{ include "modstream.selector" . }}
app.kubernetes.io/component: api
{{- end -}}

{{- define "modstream.hasApiPods" -}}
{{- if and .Values.api.enabled (eq .Values.api.pods "own") -}}yes{{- end -}}
{{- end -}}

{{- define "modstream.streamAnswers" -}}
{{- if and .Values.api.enabled (eq .Values.api.pods "stream") -}}yes{{- end -}}
{{- end -}}

{{/* The pods that answer HTTP requests. */}}
{{- define "modstream.answeringSelector" -}}
{{- include (ternary "modstream.apiSelector" "modstream.serviceSelector" (eq .Values.api.pods "own")) . -}}
{{- end -}}

{{- define "modstream.apiPort" -}}
{{- dig "api" "port" 0 .Values.settings | default 8080 | int -}}
{{- end -}}

{{/* preStop, the drain, and 20 s for ending processes. */}}
{{- define "modstream.apiGraceS" -}}
{{- $drain := include "modstream.drainS" . | int -}}
{{- $atLeast := add $drain .Values.api.preStopS | int -}}
{{- $grace := .Values.api.terminationGracePeriodSeconds | default (add $atLeast 20) | int -}}
{{- if le $grace $atLeast -}}
{{- fail (printf "api.terminationGracePeriodSeconds (%d) must be above api.preStopS and settings.shutdown.drain_s together (%d): Kubernetes would end requests in hand" $grace $atLeast) -}}
{{- end -}}
{{- $grace -}}
{{- end -}}

{{/* Whether the API's values go together; rendered once. */}}
{{- define "modstream.checkApi" -}}
{{- $api := .Values.api -}}
{{- if not (or $api.enabled .Values.stream.enabled) -}}
{{- fail "stream.enabled and api.enabled are both false: nothing would run" -}}
{{- end -}}
{{- if $api.enabled -}}
{{- $given := .Values.settings.api | default dict -}}
{{- if and (eq $api.pods "stream") (not .Values.stream.enabled) -}}
{{- fail "api.pods is stream, and stream.enabled is false: set api.pods to own" -}}
{{- end -}}
{{- if eq ($given.authentication | default "keys") "none" -}}
{{- fail "settings.api.authentication none is refused where other machines reach the API: create keys, see api.keys.existingSecret" -}}
{{- end -}}
{{- if not (or $api.keys.existingSecret $given.keys_file (dig "jwt" "issuer" "" $given)) -}}
{{- fail (printf "no request could be accepted: write keys with `modstream keys create --file keys.yaml`, create a Secret with `kubectl --namespace %s create secret generic modstream-api-keys --from-file=keys.yaml`, and set api.keys.existingSecret=modstream-api-keys; or set settings.api.jwt.issuer" .Release.Namespace) -}}
{{- end -}}
{{- if and (eq $api.pods "own") .Values.stream.enabled $given.port -}}
{{- fail "settings.api.port would open the API in the stream's pods too: leave it out, or set api.pods to stream" -}}
{{- end -}}
{{- if and $api.ingress.enabled (not $api.ingress.host) -}}
{{- fail "api.ingress.enabled needs api.ingress.host, the name that clients call" -}}
{{- end -}}
{{- if gt (int $api.autoscaling.minReplicas) (int $api.autoscaling.maxReplicas) -}}
{{- fail (printf "api.autoscaling.minReplicas (%d) is above api.autoscaling.maxReplicas (%d)" (int $api.autoscaling.minReplicas) (int $api.autoscaling.maxReplicas)) -}}
{{- end -}}
{{- end -}}
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

{{/* What a running service does not read again: its settings, and the policies where it does not follow them. */}}
{{- define "modstream.readAtStart" -}}
{{- include "modstream.settings" . -}}
{{- $policy := .Values.settings.policy | default dict -}}
{{- if and (hasKey $policy "reload_interval_s") (kindIs "invalid" $policy.reload_interval_s) -}}
{{- toJson (list .Values.policies .Values.shadowPolicies) -}}
{{- end -}}
{{- end -}}

{{/* The service's settings as they stand in the ConfigMap: what follows from other values is filled in. */}}
{{- define "modstream.settings" -}}
{{- $settings := deepCopy .Values.settings -}}
{{- if .Values.policies -}}
{{- $settings = mergeOverwrite (dict "policy" (dict "path" "/etc/modstream/policies")) $settings -}}
{{- end -}}
{{- if .Values.shadowPolicies -}}
{{- $settings = mergeOverwrite (dict "shadow" (dict "policies" "/etc/modstream/shadow-policies")) $settings -}}
{{- end -}}
{{- if include "modstream.hasModel" . -}}
{{- $settings = mergeOverwrite (dict "engine" (dict "kind" "vllm")) $settings -}}
{{- end -}}
{{- if .Values.api.enabled -}}
{{- $api := dict -}}
{{- if .Values.api.keys.existingSecret -}}
{{- $api = dict "keys_file" (printf "/etc/modstream/keys/%s" .Values.api.keys.key) -}}
{{- end -}}
{{- if include "modstream.streamAnswers" . -}}
{{- $_ := set $api "port" (include "modstream.apiPort" . | int) -}}
{{- end -}}
{{- $settings = mergeOverwrite (dict "api" $api) $settings -}}
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
{{- $preStop := ternary (int .Values.api.preStopS) 0 (eq (include "modstream.streamAnswers" .) "yes") -}}
{{- $grace := .Values.terminationGracePeriodSeconds | default (add $drain $preStop 35) | int -}}
{{- if le $grace (add $drain $preStop | int) -}}
{{- fail (printf "terminationGracePeriodSeconds (%d) must be above settings.shutdown.drain_s (%d), with api.preStopS where these pods answer HTTP: Kubernetes would kill the process while it drains" $grace $drain) -}}
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
