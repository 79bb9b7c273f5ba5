"""Which document each command prints."""

from comfylock.report.documents.locking import ChosenDocument, LockDocument, OutdatedDocument
from comfylock.report.documents.machine import (
    AuthStatusDocument,
    CacheDirDocument,
    CacheInfoDocument,
    ClearedDocument,
    DoctorDocument,
    FixDocument,
    InitDocument,
    LoginDocument,
    LogoutDocument,
)
from comfylock.report.documents.models import InstallDocument, StatusDocument
from comfylock.report.documents.questions import (
    ScanDocument,
    SearchDocument,
    TreeDocument,
    WhyDocument,
)
from comfylock.report.documents.telling import DiffDocument, ExportDocument, ReportDocument

#: By the command's name as its document gives it.
DOCUMENTS: dict[str, type] = {
    "lock": LockDocument,
    "update": LockDocument,
    "install": InstallDocument,
    "status": StatusDocument,
    "check": StatusDocument,
    "verify": StatusDocument,
    "search": SearchDocument,
    "pin": ChosenDocument,
    "unpin": ChosenDocument,
    "ignore": ChosenDocument,
    "why": WhyDocument,
    "tree": TreeDocument,
    "outdated": OutdatedDocument,
    "scan": ScanDocument,
    "diff": DiffDocument,
    "report": ReportDocument,
    "export": ExportDocument,
    "fix-paths": FixDocument,
    "cache dir": CacheDirDocument,
    "cache info": CacheInfoDocument,
    "cache prune": ClearedDocument,
    "cache clear": ClearedDocument,
    "init": InitDocument,
    "doctor": DoctorDocument,
    "auth login": LoginDocument,
    "auth logout": LogoutDocument,
    "auth status": AuthStatusDocument,
}
