"""What the content security policy keeps from a page of the browser tests."""

from playwright.sync_api import ConsoleMessage

# Says in the console what the content security policy has kept from a page.
VIOLATIONS = """addEventListener("securitypolicyviolation", (event) => console.error(
    `policy violated: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`))"""


def refused(message: ConsoleMessage) -> list[str]:
    """What a message of the console says against the content security policy; else nothing."""
    words = ("policy violated", "Content Security Policy", "Content-Security-Policy")
    return [message.text] if any(word in message.text for word in words) else []
