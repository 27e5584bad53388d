{{/*
The Deployment of a component: `service`, which reads Kafka, or `api`, which answers HTTP alone. Both have the same pod but
for its command, its ports and its end. Takes a dictionary of `root` and `component`.
*/}}
{{- define "modstream.deployment" -}}
{{- $root := .root }}
{{- $isApi := eq .component "api" }}
{{- with $root }}
{{- $own := ternary .Values.api .Values $isApi }}
{{- $name := include (ternary "modstream.apiName" "modstream.name" $isApi) . }}
{{- $selector := include (ternary "modstream.apiSelector" "modstream.serviceSelector" $isApi) . }}
{{- $graceS := ternary "modstream.apiGraceS" "modstream.graceS" $isApi }}
{{- /* Whether these pods answer HTTP requests. */}}
{{- $answers := or $isApi (include "modstream.streamAnswers" .) }}
{{- $hasModel := include "modstream.hasModel" . }}
{{- $isGpu := eq .Values.flavour "gpu" }}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $name }}
  labels: {{- include "modstream.labels" . | nindent 4 }}
spec:
  {{- if not $own.autoscaling.enabled }}
  replicas: {{ $own.replicas }}
  {{- end }}
  revisionHistoryLimit: 5
  # A model that is downloaded first may take half an hour.
  progressDeadlineSeconds: {{ ternary 2700 600 (eq $hasModel "yes") }}
  minReadySeconds: {{ .Values.minReadySeconds }}
  strategy: {{- toYaml $own.strategy | nindent 4 }}
  selector:
    matchLabels: {{- $selector | nindent 6 }}
  template:
    metadata:
      labels:
        {{- $selector | nindent 8 }}
        app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
        {{- with .Values.podLabels }}{{ toYaml . | nindent 8 }}{{ end }}
      annotations:
        # The service reads its settings when it starts: changed ones roll the pods. It follows changed policies by itself.
        checksum/config: {{ include "modstream.readAtStart" . | sha256sum }}
        {{- with .Values.podAnnotations }}{{ toYaml . | nindent 8 }}{{ end }}
    spec:
      serviceAccountName: {{ include "modstream.serviceAccount" . }}
      automountServiceAccountToken: false
      enableServiceLinks: false
      terminationGracePeriodSeconds: {{ include $graceS . }}
      securityContext: {{- include "modstream.podSecurity" . | nindent 8 }}
      {{- with .Values.imagePullSecrets }}
      imagePullSecrets: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.priorityClassName }}
      priorityClassName: {{ . }}
      {{- end }}
      {{- if and $isGpu .Values.gpu.runtimeClassName }}
      runtimeClassName: {{ .Values.gpu.runtimeClassName }}
      {{- end }}
      containers:
        - name: modstream
          image: {{ include "modstream.image" . }}
          imagePullPolicy: {{ .Values.image.pullPolicy }}
          args: {{ ternary (printf "[api, --port, %q]" (include "modstream.apiPort" .)) "[serve]" $isApi }}
          securityContext: {{- include "modstream.containerSecurity" . | nindent 12 }}
          env:
            - name: POD_NAME
              valueFrom: {fieldRef: {fieldPath: metadata.name}}
            - name: POD_NAMESPACE
              valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
            - name: NODE_NAME
              valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
            - name: OTEL_RESOURCE_ATTRIBUTES
              value: k8s.pod.name=$(POD_NAME),k8s.namespace.name=$(POD_NAMESPACE),k8s.node.name=$(NODE_NAME)
            {{- range $name, $value := .Values.env }}
            - name: {{ $name }}
              value: {{ $value | quote }}
            {{- end }}
            {{- range .Values.secretEnv }}
            - name: {{ .name }}
              valueFrom:
                secretKeyRef:
                  name: {{ .secretName }}
                  key: {{ .secretKey }}
            {{- end }}
          {{- with .Values.envFrom }}
          envFrom: {{- toYaml . | nindent 12 }}
          {{- end }}
          ports:
            - name: monitoring
              containerPort: {{ include "modstream.port" . }}
            {{- if $answers }}
            - name: http
              containerPort: {{ include "modstream.apiPort" . }}
          lifecycle:
            # Load balancers go on sending requests for some seconds after a pod was chosen to end.
            preStop:
              sleep: {seconds: {{ .Values.api.preStopS }}}
            {{- end }}
          # Alive, not ready: brokers that are away are no reason to kill a process that waits for them.
          startupProbe:
            httpGet: {path: /health/live, port: monitoring}
            timeoutSeconds: 5
            periodSeconds: {{ .Values.probes.startup.periodSeconds }}
            failureThreshold: {{ .Values.probes.startup.failureThreshold | default (ternary 420 24 (eq $hasModel "yes")) }}
          # A hung engine ends the process by itself (engine.stall_s); this is for a loop that does not turn.
          livenessProbe:
            httpGet: {path: /health/live, port: monitoring}
            {{- toYaml .Values.probes.liveness | nindent 12 }}
          {{- if $answers }}
          # Requests are sent to ready pods alone; one that drains is none.
          {{- else }}
          # No traffic depends on it: it paces rollouts and disruptions.
          {{- end }}
          readinessProbe:
            httpGet: {path: /health/ready, port: monitoring}
            {{- toYaml .Values.probes.readiness | nindent 12 }}
          {{- $resources := deepCopy ($own.resources | default .Values.resources) }}
          {{- if $isGpu }}
          {{- $gpu := dict .Values.gpu.resource .Values.gpu.count }}
          {{- $resources = mergeOverwrite $resources (dict "limits" $gpu "requests" $gpu) }}
          {{- end }}
          resources: {{- toYaml $resources | nindent 12 }}
          volumeMounts:
            - name: config
              mountPath: /etc/modstream/modstream.yaml
              subPath: modstream.yaml
              readOnly: true
            {{- if .Values.policies }}
            - name: policies
              mountPath: /etc/modstream/policies
              readOnly: true
            {{- end }}
            {{- if .Values.shadowPolicies }}
            - name: shadow-policies
              mountPath: /etc/modstream/shadow-policies
              readOnly: true
            {{- end }}
            - name: tmp
              mountPath: /tmp
            {{- if $hasModel }}
            - name: models
              mountPath: /var/cache/modstream
            - name: shared-memory
              mountPath: /dev/shm
            {{- end }}
            {{- if and $answers .Values.api.keys.existingSecret }}
            # The whole folder: a file alone would not follow the Secret.
            - name: api-keys
              mountPath: /etc/modstream/keys
              readOnly: true
            {{- end }}
            {{- range .Values.secretMounts }}
            - name: {{ .name }}
              mountPath: {{ .mountPath }}
              readOnly: true
            {{- end }}
      volumes:
        - name: config
          configMap:
            name: {{ include "modstream.name" . }}
        {{- if .Values.policies }}
        - name: policies
          configMap:
            name: {{ include "modstream.name" . }}-policies
        {{- end }}
        {{- if .Values.shadowPolicies }}
        - name: shadow-policies
          configMap:
            name: {{ include "modstream.name" . }}-shadow-policies
        {{- end }}
        - name: tmp
          emptyDir:
            sizeLimit: {{ .Values.tmp.sizeLimit }}
        {{- if $hasModel }}
        - name: models
          {{- if .Values.modelCache.enabled }}
          persistentVolumeClaim:
            claimName: {{ .Values.modelCache.existingClaim | default (printf "%s-models" (include "modstream.name" .)) }}
          {{- else }}
          emptyDir:
            sizeLimit: {{ .Values.modelCache.size }}
          {{- end }}
        - name: shared-memory
          emptyDir:
            medium: Memory
            sizeLimit: {{ .Values.sharedMemory }}
        {{- end }}
        {{- if and $answers .Values.api.keys.existingSecret }}
        - name: api-keys
          secret:
            secretName: {{ .Values.api.keys.existingSecret }}
            defaultMode: 0440
        {{- end }}
        {{- range .Values.secretMounts }}
        - name: {{ .name }}
          secret:
            secretName: {{ .secretName }}
            # Read by the group, which is the process's own.
            defaultMode: 0440
        {{- end }}
      {{- $nodeSelector := .Values.nodeSelector }}
      {{- $tolerations := .Values.tolerations }}
      {{- if $isGpu }}
      {{- $nodeSelector = merge (deepCopy .Values.nodeSelector) .Values.gpu.nodeSelector }}
      {{- $tolerations = concat .Values.tolerations .Values.gpu.tolerations }}
      {{- end }}
      {{- with $nodeSelector }}
      nodeSelector: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $tolerations }}
      tolerations: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.affinity }}
      affinity: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- if .Values.topologySpread.enabled }}
      topologySpreadConstraints:
        {{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
        - topologyKey: {{ $key }}
          maxSkew: 1
          whenUnsatisfiable: {{ $root.Values.topologySpread.whenUnsatisfiable }}
          labelSelector:
            matchLabels: {{- $selector | nindent 14 }}
        {{- end }}
      {{- end }}
{{- end }}
{{- end -}}
