# SPDX-License-Identifier: Apache-2.0
"""Where Services, EndpointSlices and the Node come from: manifests on disk or an API server.

``decode`` turns an object as the API defines it into a value of ``rules.model`` or refuses it with
an error that names the object and the field. The two sources, ``manifests`` and ``cluster``,
deliver these values to a ``StateSink`` from threads of their own. Nothing that they read may stop
them: an object that cannot be used is reported to their observer and left out.
"""
