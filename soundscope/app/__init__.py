"""The Streamlit app: reads the published release and shows it. Only this package knows Streamlit; nothing here writes."""
