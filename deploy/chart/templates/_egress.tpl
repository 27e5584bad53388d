{{/* Where pods may connect to. Takes a dictionary of `root` and `brokers`, whether Kafka is among it. */}}
{{- define "modstream.egress" -}}
{{- $brokers := .brokers }}
{{- with .root.Values.networkPolicy }}
- to: {{- toYaml .dns | nindent 4 }}
  ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
{{- if $brokers }}
- to: {{- toYaml .brokers.peers | nindent 4 }}
  ports:
    {{- range .brokers.ports }}
    - port: {{ . }}
    {{- end }}
{{- end }}
{{- range concat .objectStores .collector .others }}
- {{ toYaml . | nindent 2 | trim }}
{{- end }}
{{- if .publicImages }}
- to:
    - ipBlock:
        cidr: 0.0.0.0/0
        # What service/media/fetch/addresses.py refuses, and a test compares: all that is not public, and the
        # addresses where clouds serve credentials to machines.
        except:
          - 0.0.0.0/8
          - 10.0.0.0/8
          - 100.64.0.0/10
          - 127.0.0.0/8
          - 168.63.129.16/32
          - 169.254.0.0/16
          - 172.16.0.0/12
          - 192.0.0.0/24
          - 192.0.2.0/24
          - 192.88.99.0/24
          - 192.168.0.0/16
          - 198.18.0.0/15
          - 198.51.100.0/24
          - 203.0.113.0/24
          - 224.0.0.0/3
    - ipBlock:
        cidr: 2000::/3
        except:
          - 2001::/23
          - 2001:db8::/32
          - 2002::/16
          - 3fff::/20
  ports:
    - port: 80
    - port: 443
{{- end }}
{{- end }}
{{- end -}}
